/*
 * ops - see ops_int.h. Layout: doc/format-store.md, "Operations".
 */
#include "service/store/ops_int.h"

#include <assert.h>
#include <string.h>

#include "base/pack.h"
#include "service/store/store_int.h"

void
ops_init(struct ops *o)
{
	*o = (struct ops){ 0 };
	buf_init(&o->b, TXN_MAX);
	ops_clear(o);
}

void
ops_release(struct ops *o)
{
	buf_release(&o->b);
}

void
ops_clear(struct ops *o)
{
	/* a very large transaction's memory is not kept */
	if (o->b.cap > 1 << 14)
		buf_release(&o->b);
	buf_clear(&o->b);
	pack_zero(&o->b, TXN_HEAD);
	o->n = 0;
	o->at = 0;
}

bool
op_next(struct cur *c, struct op *op)
{
	uint32_t len;

	if (cur_left(c) == 0)
		return false;
	if (!cur_u16(c, &op->type) || !cur_u16(c, &op->flags) ||
	    !cur_u32(c, &len) || !cur_take(c, len, &op->body))
		return false;
	return cur_skip(c, (8 - len % 8) % 8);
}

void
op_begin(struct ops *o, enum op_type type, uint16_t flags)
{
	assert(o->at == 0);
	o->at = o->b.n;
	pack_u16(&o->b, (uint16_t)type);
	pack_u16(&o->b, flags);
	pack_u32(&o->b, 0);
}

void
op_u32(struct ops *o, uint32_t v)
{
	pack_u32(&o->b, v);
}

void
op_u64(struct ops *o, uint64_t v)
{
	pack_u64(&o->b, v);
}

void
op_bytes(struct ops *o, struct str s)
{
	buf_put(&o->b, s);
}

void
op_end(struct ops *o)
{
	size_t len = o->b.n - o->at - OP_HEAD;

	assert(o->at != 0);
	if (!o->b.full) {
		le32_put(o->b.p + o->at + 4, (uint32_t)len);
		pack_zero(&o->b, (8 - len % 8) % 8);
	}
	o->n++;
	o->at = 0;
}

bool
op_tuples(struct str body, unsigned width, size_t *n)
{
	*n = body.n / (4 * (size_t)width);
	return body.n % (4 * (size_t)width) == 0;
}

uint32_t
op_tuple(struct str body, unsigned width, size_t i, unsigned k)
{
	return le32_get(body.p + (i * width + k) * 4);
}

/*
 * 0 u32 uid | 4 u32 fn | 8 u64 kw | 16 u64 size | 24 i64 idate | 32 i64 sdate
 * 40 u64 createmodseq | 48 u64 threadid | 56 u8[16] emailid | 72 u16 flags
 * 74 i16 zone | 76 u8 where | 77 u8 bits | 78 u16 nlen | 80 u16 xlen | 82 zero
 * 84 name, extra letters; then room for tagged values
 */
void
op_add_pack(struct ops *o, const struct op_add *a)
{
	op_begin(o, OP_ADD, 0);
	pack_u32(&o->b, a->uid);
	pack_u32(&o->b, a->fn);
	pack_u64(&o->b, a->kw);
	pack_u64(&o->b, a->size);
	pack_u64(&o->b, (uint64_t)a->idate);
	pack_u64(&o->b, (uint64_t)a->sdate);
	pack_u64(&o->b, a->create_modseq);
	pack_u64(&o->b, a->threadid);
	buf_put(&o->b, str_make((const char *)a->emailid, 16));
	pack_u16(&o->b, a->flags);
	pack_u16(&o->b, (uint16_t)a->zone_min);
	pack_u8(&o->b, a->where);
	pack_u8(&o->b, a->bits);
	pack_u16(&o->b, (uint16_t)a->name.n);
	pack_u16(&o->b, (uint16_t)a->extra.n);
	pack_u16(&o->b, 0);
	buf_put(&o->b, a->name);
	buf_put(&o->b, a->extra);
	op_end(o);
}

bool
op_add_unpack(struct str s, struct op_add *a)
{
	const char *p = s.p;
	size_t nlen, xlen;

	/* fixed offsets after one check: this runs once per message at open */
	if (s.n < ADD_FIXED)
		return false;
	a->uid = le32_get(p);
	a->fn = le32_get(p + 4);
	a->kw = le64_get(p + 8);
	a->size = le64_get(p + 16);
	a->idate = (int64_t)le64_get(p + 24);
	a->sdate = (int64_t)le64_get(p + 32);
	a->create_modseq = le64_get(p + 40);
	a->threadid = le64_get(p + 48);
	memcpy(a->emailid, p + 56, 16);
	a->flags = le16_get(p + 72);
	a->zone_min = (int16_t)le16_get(p + 74);
	a->where = (uint8_t)p[76];
	a->bits = (uint8_t)p[77];
	nlen = le16_get(p + 78);
	xlen = le16_get(p + 80);
	if (nlen > s.n - ADD_FIXED || xlen > s.n - ADD_FIXED - nlen)
		return false;
	if (nlen == 0 || nlen > NAME_LEN || xlen >= 32 ||
	    a->where > WHERE_BARE || a->uid == 0)
		return false;
	a->name = str_make(p + ADD_FIXED, nlen);
	a->extra = str_make(p + ADD_FIXED + nlen, xlen);
	/* it becomes a path: nothing that leads out of the directory */
	return !str_has(a->name, '/') && !str_has(a->name, '\0') &&
	       a->name.p[0] != '.' && !str_has(a->extra, '/') &&
	       !str_has(a->extra, '\0');
}

/* 0 u16 add | 2 u16 rem | 4 u32 zero | 8 u64 kwadd | 16 u64 kwrem | 24 pairs */
void
op_flags_begin(struct ops *o, const struct op_flags *f)
{
	op_begin(o, OP_FLAGS, 0);
	pack_u16(&o->b, f->add);
	pack_u16(&o->b, f->rem);
	pack_u32(&o->b, 0);
	pack_u64(&o->b, f->kwadd);
	pack_u64(&o->b, f->kwrem);
}

bool
op_flags_unpack(struct str s, struct op_flags *f)
{
	size_t n;

	if (s.n < 24)
		return false;
	f->add = le16_get(s.p);
	f->rem = le16_get(s.p + 2);
	f->kwadd = le64_get(s.p + 8);
	f->kwrem = le64_get(s.p + 16);
	f->ranges = str_sub(s, 24, s.n);
	return op_tuples(f->ranges, 2, &n);
}

/* 0 u32 number | 4 u16 nlen | 6 u16 xlen | 8 name, extra */
void
op_name_pack(struct ops *o, enum op_type type, const struct op_name *v)
{
	op_begin(o, type, 0);
	pack_u32(&o->b, v->number);
	pack_u16(&o->b, (uint16_t)v->name.n);
	pack_u16(&o->b, (uint16_t)v->extra.n);
	buf_put(&o->b, v->name);
	buf_put(&o->b, v->extra);
	op_end(o);
}

bool
op_name_unpack(struct str s, struct op_name *v)
{
	size_t nlen, xlen;

	if (s.n < 8)
		return false;
	v->number = le32_get(s.p);
	nlen = le16_get(s.p + 4);
	xlen = le16_get(s.p + 6);
	if (nlen == 0 || nlen > s.n - 8 || xlen > s.n - 8 - nlen)
		return false;
	v->name = str_make(s.p + 8, nlen);
	v->extra = str_make(s.p + 8 + nlen, xlen);
	return true;
}

void
op_scan_pack(struct ops *o, const struct op_scan *v)
{
	op_begin(o, OP_SCAN, 0);
	pack_u32(&o->b, v->dir);
	pack_u32(&o->b, v->is_stable);
	pack_u64(&o->b, v->dev);
	pack_u64(&o->b, v->ino);
	pack_u64(&o->b, v->mtime);
	pack_u64(&o->b, v->nfiles);
	op_end(o);
}

bool
op_scan_unpack(struct str s, struct op_scan *v)
{
	struct cur c;

	cur_init(&c, s);
	return cur_u32(&c, &v->dir) && cur_u32(&c, &v->is_stable) &&
	       cur_u64(&c, &v->dev) && cur_u64(&c, &v->ino) &&
	       cur_u64(&c, &v->mtime) && cur_u64(&c, &v->nfiles) && v->dir < 2;
}

void
op_scanstep_pack(struct ops *o, const struct op_scanstep *v)
{
	op_begin(o, OP_SCANSTEP, 0);
	pack_u32(&o->b, v->dir);
	pack_u32(&o->b, 0);
	pack_u64(&o->b, v->before);
	pack_u64(&o->b, v->after);
	op_end(o);
}

bool
op_scanstep_unpack(struct str s, struct op_scanstep *v)
{
	struct cur c;
	uint32_t zero;

	cur_init(&c, s);
	return cur_u32(&c, &v->dir) && cur_u32(&c, &zero) &&
	       cur_u64(&c, &v->before) && cur_u64(&c, &v->after) && v->dir < 2;
}

/* 0 u8[16] mailboxid | 16 pairs */
void
op_move_begin(struct ops *o, enum op_type type, const uint8_t id[16])
{
	op_begin(o, type, 0);
	buf_put(&o->b, str_make((const char *)id, 16));
}

bool
op_move_unpack(struct str s, struct op_move *v)
{
	size_t n;

	if (s.n < 16)
		return false;
	memcpy(v->mailboxid, s.p, 16);
	v->pairs = str_sub(s, 16, s.n);
	return op_tuples(v->pairs, 2, &n);
}

void
op_words_pack(struct ops *o, enum op_type type, uint64_t a, uint64_t b)
{
	op_begin(o, type, 0);
	pack_u64(&o->b, a);
	pack_u64(&o->b, b);
	op_end(o);
}

bool
op_words_unpack(struct str s, uint64_t out[2])
{
	struct cur c;

	cur_init(&c, s);
	return cur_u64(&c, &out[0]) && cur_u64(&c, &out[1]);
}
