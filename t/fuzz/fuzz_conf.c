/*
 * Configuration: the syntax, and what the settings make of it. What was read
 * is printed and read back as the same.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "service/config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
syntax(struct str text)
{
	struct conf_errors e;
	struct conf_node *n;
	struct arena a;
	struct buf b, b2;

	arena_init(&a, 64 << 20);
	buf_init(&b, 32 << 20);
	buf_init(&b2, 32 << 20);
	conf_errors_init(&e);
	n = conf_parse(&a, "fuzz", text, -1, &e);
	if (e.n == 0) {
		conf_print(&b, n, 0);
		n = conf_parse(&a, "again", buf_str(&b), -1, &e);
		assert(e.n == 0);
		conf_print(&b2, n, 0);
		assert(str_eq(buf_str(&b), buf_str(&b2)));
	} else
		assert(e.text.n > 0);
	conf_errors_release(&e);
	buf_release(&b);
	buf_release(&b2);
	arena_release(&a);
}

static void
settings(struct str text)
{
	struct conf_errors e;
	struct config *c, *again;
	struct buf b, b2;

	buf_init(&b, 32 << 20);
	buf_init(&b2, 32 << 20);
	conf_errors_init(&e);
	c = config_parse(text, &e);
	assert((c == NULL) == (e.n > 0));
	if (c != NULL) {
		config_print(&b, c);
		again = config_parse(buf_str(&b), &e);
		assert(again != NULL);
		config_print(&b2, again);
		assert(str_eq(buf_str(&b), buf_str(&b2)));
		config_free(&again);
	}
	config_free(&c);
	conf_errors_release(&e);
	buf_release(&b);
	buf_release(&b2);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str text = str_make((const char *)data, n);

	syntax(text);
	settings(text);
	return 0;
}
