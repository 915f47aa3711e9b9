#include "format/arc/arc.h"

#include "format/arc/arc_int.h"
#include "format/mime/mime.h"

const struct str arc_field_names[ARC_N_FIELDS] = {
	[ARC_AAR] = STR_INIT("ARC-Authentication-Results"),
	[ARC_AMS] = STR_INIT("ARC-Message-Signature"),
	[ARC_AS] = STR_INIT("ARC-Seal"),
};

static const struct str cvs[] = {
	[ARC_NONE] = STR_INIT("none"),
	[ARC_PASS] = STR_INIT("pass"),
	[ARC_FAIL] = STR_INIT("fail"),
};

const char *
arc_cv_name(enum arc_cv cv)
{
	return cvs[cv].p;
}

bool
arc_cv_from(struct str name, enum arc_cv *out)
{
	int cv;

	for (cv = ARC_NONE; cv <= ARC_FAIL; cv++)
		if (str_eq_nocase(name, cvs[cv])) {
			*out = (enum arc_cv)cv;
			return true;
		}
	return false;
}

struct str
arc_value(struct str whole)
{
	struct str name;

	str_cut(&whole, ':', &name);
	return whole;
}

bool
arc_seal_cv(struct str whole, enum arc_cv *out)
{
	struct dkim_tags tags;
	const char *why;

	return dkim_tags_parse(arc_value(whole), &tags, &why) &&
	       arc_cv_from(dkim_tag(&tags, STR("cv")), out);
}

/* instance = [CFWS] %s"i" [CFWS] "=" [CFWS] 1*2DIGIT [CFWS] ";", first in
 * ARC-Authentication-Results				RFC 8617, 4.2.1 */
static bool
read_instance(enum arc_field which, struct str whole, uint64_t *out)
{
	struct str value = arc_value(whole), spec, name;
	struct dkim_tags tags;
	const char *why;

	if (which == ARC_AAR) {
		str_cut(&value, ';', &spec);
		return str_cut(&spec, '=', &name) &&
		       str_eq(str_trim(name), STR("i")) &&
		       str_uint(str_trim(spec), ARC_MAX_SETS, out) && *out > 0;
	}
	return dkim_tags_parse(value, &tags, &why) &&
	       str_uint(dkim_tag(&tags, STR("i")), ARC_MAX_SETS, out) &&
	       *out > 0;
}

void
arc_collect(struct str header, struct arc_chain *out)
{
	struct mime_field f;
	struct str *place;
	uint64_t instance;
	int i;

	*out = (struct arc_chain){ 0 };
	while (mime_field_next(&header, &f)) {
		for (i = 0; i < ARC_N_FIELDS; i++)
			if (str_eq_nocase(str_trim(f.name), arc_field_names[i]))
				break;
		if (i == ARC_N_FIELDS)
			continue;
		if (!read_instance((enum arc_field)i, f.whole, &instance)) {
			out->why = "bad instance";
			continue;
		}
		place = &out->set[instance].field[i];
		if (place->p != NULL)
			out->why = "a field twice in a set";
		*place = f.whole;
		if (instance > out->n)
			out->n = (unsigned)instance;
	}
}

void
arc_sealed_text(
    struct buf *b, const struct arc_chain *chain, unsigned first, unsigned last)
{
	unsigned i;
	int j;

	for (i = first; i <= last; i++)
		for (j = 0; j < ARC_N_FIELDS; j++)
			if (i < last || j != ARC_AS)
				dkim_canon_field(
				    b, chain->set[i].field[j], DKIM_RELAXED);
}
