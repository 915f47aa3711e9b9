/*
 * slice - how long a process may go on while others wait.
 *
 * A message is short pieces of work handed from one process to the next a
 * dozen times, and each may find its processor busy: then it waits until
 * whoever is there has used up his slice, in steps of the kernel's tick (some
 * milliseconds). Linux from 6.12 on lets who has a shorter slice run at once.
 * Nobody gets more of the processor by that, only sooner.
 *
 * Who asks others (the fronts) keeps the kernel's: who is asked tends to be
 * woken on the asker's processor, and an asker goes on with his other clients.
 */
#ifndef DAEMON_SLICE_H
#define DAEMON_SLICE_H

/* in microseconds; the kernel takes 100 to 100,000 */
#define SLICE_SHORT 200
#define SLICE_BULK  3000 /* for long pieces of work */
#define NICE_BULK   10	 /* beside others such work gets a tenth, and goes on */

/* For this process and those it forks; a nice value that is higher already
 * stays. Kernels that know nothing of slices go on as they did. */
void slice_set(unsigned us, int nice);

#endif
