#include "format/dnsmsg/dnsmsg.h"

#include "format/dnsmsg/dnsmsg_int.h"

/* header bits, RFC 1035, 4.1.1, and RFC 6840, 5.7 */
#define BIT_QR	 0x8000
#define BIT_TC	 0x0200
#define BIT_RD	 0x0100
#define BIT_AD	 0x0020
#define CLASS_IN 1
#define BIT_DO	 0x8000 /* in OPT, RFC 3225 */
#define OPT_EDE	 15	/* RFC 8914, 2 */

static void
put_u16(struct buf *b, unsigned v)
{
	buf_putc(b, (char)(v >> 8));
	buf_putc(b, (char)(v & 0xff));
}

bool
dnsmsg_query(
    struct buf *b, uint16_t id, const struct dns_question *q, unsigned flags)
{
	if (!dns_name_valid(q->name))
		return false;
	put_u16(b, id);
	put_u16(b, BIT_RD | BIT_AD);
	put_u16(b, 1); /* question */
	put_u16(b, 0);
	put_u16(b, 0);
	put_u16(b, 1); /* additional: the OPT */
	dns_name_to_wire(b, q->name);
	put_u16(b, q->type);
	put_u16(b, CLASS_IN);
	/* RFC 6891, 6.1.2 */
	buf_putc(b, 0);
	put_u16(b, DNS_OPT);
	put_u16(b, DNS_UDP_SIZE);
	put_u16(b, 0); /* extended rcode, version */
	put_u16(b, flags & DNSMSG_DO ? BIT_DO : 0);
	put_u16(b, 0);
	return !b->full;
}

/* *( option-code option-length option-data )		RFC 6891, 6.1.2 */
static bool
read_options(struct dnsmsg_in *in, struct dnsmsg *m)
{
	struct cur *c = &in->c;
	uint16_t code, n, info;
	struct str data;
	struct cur o;

	while (!cur_done(c)) {
		if (!dnsmsg_u16(c, &code) || !dnsmsg_u16(c, &n) ||
		    !cur_take(c, n, &data))
			return false;
		if (code != OPT_EDE || m->ede != -1)
			continue;
		cur_init(&o, data);
		if (!dnsmsg_u16(&o, &info))
			return cur_fail(c, "short extended error");
		m->ede = info;
		if (!dnsmsg_copy(in, cur_rest(&o), &m->ede_text))
			return false;
	}
	return true;
}

/* What a section's records go to; NULL: only their form is looked at. */
struct section {
	struct dns_record *v;
	size_t n;
};

/* RR = NAME TYPE CLASS TTL RDLENGTH RDATA		RFC 1035, 4.1.3 */
static bool
read_record(struct dnsmsg_in *in, struct dnsmsg *m, struct section *s)
{
	struct dns_record r = { 0 };
	struct cur *c = &in->c;
	uint16_t type, class, n;
	const char *end;
	bool is_known;

	if (!dnsmsg_name(in, &r.owner) || !dnsmsg_u16(c, &type) ||
	    !dnsmsg_u16(c, &class) || !dnsmsg_u32(c, &r.ttl) ||
	    !dnsmsg_u16(c, &n))
		return false;
	if (n > cur_left(c))
		return cur_fail(c, "record is longer than the message");
	r.type = (enum dns_type)type;
	end = c->end;
	c->end = c->p + n; /* its data may not read on */
	if (type == DNS_OPT && s == NULL) {
		if (m->has_opt)
			return cur_fail(c, "more than one OPT");
		m->has_opt = true;
		m->udp_size = class;
		m->rcode |= (uint16_t)(r.ttl >> 24 << 4);
		if (!read_options(in, m))
			return false;
	} else if (s == NULL || class != CLASS_IN) {
		cur_skip(c, n);
	} else {
		if (!dnsmsg_rdata(in, &r, &is_known))
			return false;
		if (!is_known)
			cur_skip(c, n);
		else
			s->v[s->n++] = r;
	}
	if (!cur_done(c))
		return cur_fail(c, "record is longer than its data");
	if (r.ttl > INT32_MAX) /* RFC 2181, 8 */
		r.ttl = 0;
	c->end = end;
	return true;
}

static bool
read_section(
    struct dnsmsg_in *in, struct dnsmsg *m, size_t count, struct section *s)
{
	if (s != NULL && count > 0) {
		s->v = arena_try(in->arena, count * sizeof(*s->v));
		if (s->v == NULL)
			return cur_fail(
			    &in->c, "message takes too much memory");
	}
	while (count-- > 0)
		if (!read_record(in, m, s))
			return false;
	return true;
}

/* QNAME QTYPE QCLASS					RFC 1035, 4.1.2 */
static bool
read_question(struct dnsmsg_in *in, struct dnsmsg *m)
{
	uint16_t type, class;

	if (!dnsmsg_name(in, &m->question.name) || !dnsmsg_u16(&in->c, &type) ||
	    !dnsmsg_u16(&in->c, &class))
		return false;
	m->question.type = (enum dns_type)type;
	m->has_question = class == CLASS_IN;
	return true;
}

static bool
read_message(struct dnsmsg_in *in, struct dnsmsg *m)
{
	uint16_t bits, questions, answers, authority, additional;
	struct section an = { 0 }, ns = { 0 };
	struct cur *c = &in->c;

	if (!dnsmsg_u16(c, &m->id) || !dnsmsg_u16(c, &bits) ||
	    !dnsmsg_u16(c, &questions) || !dnsmsg_u16(c, &answers) ||
	    !dnsmsg_u16(c, &authority) || !dnsmsg_u16(c, &additional))
		return false;
	m->is_response = (bits & BIT_QR) != 0;
	m->is_truncated = (bits & BIT_TC) != 0;
	m->is_authentic = (bits & BIT_AD) != 0;
	m->rcode = bits & 15;
	if (questions > 1)
		return cur_fail(c, "more than one question");
	if ((size_t)answers + authority + additional > DNSMSG_MAX_RECORDS)
		return cur_fail(c, "too many records");
	if (questions == 1 && !read_question(in, m))
		return false;
	if (!read_section(in, m, answers, &an) ||
	    !read_section(in, m, authority, &ns) ||
	    !read_section(in, m, additional, NULL))
		return false;
	m->answer = an.v;
	m->n_answer = an.n;
	m->authority = ns.v;
	m->n_authority = ns.n;
	return cur_done(c) || cur_fail(c, "junk after the message");
}

bool
dnsmsg_parse(
    struct arena *a, struct str wire, struct dnsmsg *m, const char **why)
{
	struct dnsmsg_in in = { .arena = a, .wire = wire };

	*m = (struct dnsmsg){ .ede = -1, .ede_text = STR("") };
	cur_init(&in.c, wire);
	if (read_message(&in, m))
		return true;
	if (why != NULL)
		*why = in.c.why;
	return false;
}
