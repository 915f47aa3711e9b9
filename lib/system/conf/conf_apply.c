#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "system/conf/conf.h"

/* Edit distance, for "did you mean"; words of at most 63 bytes. */
static unsigned
distance(struct str a, struct str b)
{
	unsigned row[64], i, j;

	if (a.n > 63 || b.n > 63)
		return 99;
	for (j = 0; j <= b.n; j++)
		row[j] = j;
	for (i = 1; i <= a.n; i++) {
		unsigned diag = row[0];

		row[0] = i;
		for (j = 1; j <= b.n; j++) {
			unsigned up = row[j], best;

			best = diag + (a.p[i - 1] != b.p[j - 1]);
			if (up + 1 < best)
				best = up + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			diag = up;
			row[j] = best;
		}
	}
	return row[b.n];
}

void
conf_error_unknown(struct conf_errors *e, const struct conf_pos *pos,
    const char *what, struct str word, const char *const *known, size_t n)
{
	const char *best = NULL;
	unsigned least = 4;
	struct buf all;
	size_t i;

	buf_init(&all, 2000);
	for (i = 0; i < n; i++) {
		unsigned d = distance(word, str_from(known[i]));

		if (d < least) {
			least = d;
			best = known[i];
		}
		buf_printf(&all, "%s%s", i == 0 ? "" : ", ", known[i]);
	}
	if (best != NULL)
		conf_error(e, pos,
		    "unknown %s '%.*s', did you mean '%s'? allowed: %s", what,
		    STR_ARG(word), best, buf_cstr(&all));
	else
		conf_error(e, pos, "unknown %s '%.*s', allowed: %s", what,
		    STR_ARG(word), buf_cstr(&all));
	buf_release(&all);
}

static bool
number_with_unit(struct str s, const char *const *units,
    const uint64_t *factors, size_t n, uint64_t *out)
{
	size_t digits = 0, i;
	struct str unit;
	uint64_t v;

	while (digits < s.n && ascii_isdigit(s.p[digits]))
		digits++;
	if (!str_uint(str_sub(s, 0, digits), UINT64_MAX, &v))
		return false;
	unit = str_sub(s, digits, s.n);
	for (i = 0; i < n; i++)
		if (str_eq_nocase(unit, str_from(units[i])))
			return !__builtin_mul_overflow(v, factors[i], out);
	return false;
}

static bool
parse_size(struct str s, uint64_t *out)
{
	static const char *const units[] = { "", "k", "m", "g" };
	static const uint64_t factors[] = { 1, 1024, 1048576, 1073741824 };

	return number_with_unit(s, units, factors, 4, out);
}

static bool
parse_time(struct str s, uint64_t *out)
{
	static const char *const units[] = { "ms", "s", "m", "h", "d" };
	static const uint64_t factors[] = { 1, 1000, 60000, 3600000, 86400000 };

	return number_with_unit(s, units, factors, 5, out);
}

static void
apply_number(const struct conf_row *row, const struct conf_node *n, void *at,
    struct conf_errors *e)
{
	static const char *const forms[] = { [CONF_UINT] = "a number",
		[CONF_PORT] = "a port",
		[CONF_SIZE] = "a size like 500k, 100m or 1g",
		[CONF_TIME] = "a time like 500ms, 30s, 5m, 12h or 2d" };
	uint64_t v, min = row->min, max = row->max;
	struct str s = n->values[0];
	bool ok;

	if (row->type == CONF_PORT) {
		min = 1;
		max = 65535;
	} else if (max == 0)
		max = UINT64_MAX;
	if (row->type == CONF_SIZE)
		ok = parse_size(s, &v);
	else if (row->type == CONF_TIME)
		ok = parse_time(s, &v);
	else
		ok = str_uint(s, UINT64_MAX, &v);
	if (!ok)
		conf_error(e, &n->where[0], "'%.*s' is not %s", STR_ARG(s),
		    forms[row->type]);
	else if (v < min || v > max)
		conf_error(e, &n->where[0],
		    "%.*s is out of range, %llu to %llu is allowed", STR_ARG(s),
		    (unsigned long long)min, (unsigned long long)max);
	else
		*(uint64_t *)at = v;
}

static void
apply_word(const struct conf_row *row, const struct conf_node *n, void *at,
    struct conf_errors *e)
{
	size_t i;

	for (i = 0; row->words[i] != NULL; i++)
		if (str_eq(n->values[0], str_from(row->words[i]))) {
			*(int *)at = (int)i;
			return;
		}
	conf_error_unknown(
	    e, &n->where[0], "value", n->values[0], row->words, i);
}

static void
apply_list(struct arena *a, const struct conf_node *n, struct conf_list *list)
{
	list->v = arena_regrow(a, list->v, list->n * sizeof(*list->v),
	    (list->n + n->n) * sizeof(*list->v));
	if (n->n > 0)
		memcpy(list->v + list->n, n->values, n->n * sizeof(*list->v));
	list->n += n->n;
}

static bool
takes_this(const struct conf_row *row, const struct conf_node *n,
    struct conf_errors *e)
{
	if (n->has_block) {
		conf_error(e, &n->pos, "'%s' takes no block", row->name);
		return false;
	}
	if (row->type == CONF_LIST ? n->n > 0 : n->n == 1)
		return true;
	conf_error(e, &n->pos, "'%s' takes %s value, here are %zu", row->name,
	    row->type == CONF_LIST ? "at least one" : "one", n->n);
	return false;
}

static void
apply_row(struct arena *a, void *out, const struct conf_row *row,
    const struct conf_node *n, struct conf_errors *e)
{
	void *at = (char *)out + row->offset;

	if (row->type == CONF_BLOCK) {
		row->block(a, out, n, e);
		return;
	}
	if (!takes_this(row, n, e))
		return;
	switch (row->type) {
	case CONF_STR:
		*(struct str *)at = n->values[0];
		break;
	case CONF_LIST:
		apply_list(a, n, at);
		break;
	case CONF_BOOL:
		if (str_eq(n->values[0], STR("yes")))
			*(bool *)at = true;
		else if (str_eq(n->values[0], STR("no")))
			*(bool *)at = false;
		else
			conf_error(e, &n->where[0],
			    "'%.*s' is neither yes nor no",
			    STR_ARG(n->values[0]));
		break;
	case CONF_WORD:
		apply_word(row, n, at, e);
		break;
	case CONF_UINT:
	case CONF_SIZE:
	case CONF_TIME:
	case CONF_PORT:
		apply_number(row, n, at, e);
		break;
	case CONF_BLOCK:
		break;
	}
}

/* A single setting given twice is a mistake nobody sees otherwise. */
static bool
is_repeated(const struct conf_row *row, const struct conf_node *first,
    const struct conf_node *n, struct conf_errors *e)
{
	if (row->type == CONF_LIST || row->type == CONF_BLOCK)
		return false;
	for (; first != n; first = first->next)
		if (str_eq(first->name, n->name)) {
			conf_error(e, &n->pos,
			    "'%s' is given twice, first in line %u", row->name,
			    first->pos.line);
			return true;
		}
	return false;
}

void
conf_apply(struct arena *a, void *out, const struct conf_row *rows, size_t n,
    const struct conf_node *first, const char *what, struct conf_errors *e)
{
	const char *known[64];
	const struct conf_node *node;
	size_t i;

	for (i = 0; i < n && i < 64; i++)
		known[i] = rows[i].name;
	for (node = first; node != NULL; node = node->next) {
		for (i = 0; i < n; i++)
			if (str_eq(node->name, str_from(rows[i].name)))
				break;
		if (i == n)
			conf_error_unknown(
			    e, &node->pos, what, node->name, known, n);
		else if (!is_repeated(&rows[i], first, node, e))
			apply_row(a, out, &rows[i], node, e);
	}
}
