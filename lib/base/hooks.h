/*
 * hooks - what a library tells the program that uses it: lines for its log,
 * numbers for its metrics. The library itself knows neither.
 *
 * Every function may be NULL, and so may the struct hooks itself. Events and
 * metrics have stable names, given in the header of who tells them; labels
 * are from small fixed sets, never names from outside.
 */
#ifndef BASE_HOOKS_H
#define BASE_HOOKS_H

#include <stdint.h>

enum hook_level {
	HOOK_ERROR,
	HOOK_WARN,
	HOOK_INFO,
	HOOK_DEBUG,
};

struct hooks {
	void *arg;
	void (*log)(
	    void *arg, enum hook_level, const char *event, const char *text);
	void (*count)(void *arg, const char *metric, const char *label);
	void (*took)(
	    void *arg, const char *metric, const char *label, int64_t ms);
};

void hook_log(const struct hooks *, enum hook_level, const char *event,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void hook_count(const struct hooks *, const char *metric, const char *label);
void hook_took(
    const struct hooks *, const char *metric, const char *label, int64_t ms);

#endif
