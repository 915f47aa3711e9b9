/*
 * replay - a fuzz entry without a fuzzer: gives it every file of
 * t/fuzz/corpus/NAME whole, and all that they begin with. The program is
 * called replay_NAME; it crashes where the fuzzer's would.
 */
#include <dirent.h>
#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLAY_MAX  (1 << 20)
#define REPLAY_CUTS 2000 /* of one file */

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static int
is_file(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

/* A copy of just that size, so that a sanitizer sees its end. */
static void
give(const uint8_t *data, size_t n)
{
	uint8_t *copy = malloc(n == 0 ? 1 : n);

	if (copy == NULL)
		err(1, "malloc");
	memcpy(copy, data, n);
	LLVMFuzzerTestOneInput(copy, n);
	free(copy);
}

static void
replay(const char *path)
{
	static uint8_t data[REPLAY_MAX];
	size_t n, cut, step;
	FILE *f = fopen(path, "rb");

	if (f == NULL)
		err(1, "%s", path);
	n = fread(data, 1, sizeof(data), f);
	fclose(f);
	step = n / REPLAY_CUTS + 1;
	for (cut = 0; cut < n; cut += step)
		give(data, cut);
	give(data, n);
}

int
main(int argc, char **argv)
{
	const char *top = getenv("SRCDIR");
	const char *name = strrchr(argv[0], '_');
	struct dirent **list;
	char dir[4096], path[8192];
	int i, n;

	if (name == NULL)
		errx(1, "called by another name than replay_NAME");
	snprintf(dir, sizeof(dir), "%s/t/fuzz/corpus/%s",
	    top == NULL ? "." : top, name + 1);
	n = scandir(dir, &list, is_file, alphasort);
	if (n <= 0)
		errx(1, "%s: no corpus", dir);
	for (i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, list[i]->d_name);
		printf("# %s\n", list[i]->d_name);
		fflush(stdout);
		replay(path);
		printf("ok %d - %s\n", i + 1, list[i]->d_name);
		free(list[i]);
	}
	free(list);
	printf("1..%d\n", n);
	return 0;
}
