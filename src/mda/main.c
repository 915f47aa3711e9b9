/*
 * quire-mda: the nursery quired starts (no arguments), or a local delivery
 * agent for another MTA (quire-mda -d USER).
 */
#include "lda.h"
#include "profile.h"
#include "service/worker/worker.h"
#include "worker.h"

int
main(int argc, char **argv)
{
	const struct nursery_spec spec = { .name = "quire-mda",
		.nursery = &mda_nursery_profile,
		.worker = &mda_worker_profile,
		.work = mda_work,
		.prepare = worker_prepare };

	if (argc > 1)
		return lda_main(argc, argv);
	return nursery_run(&spec);
}
