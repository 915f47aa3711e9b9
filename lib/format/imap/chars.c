#include "format/imap/chars.h"

enum {
	ATOM = 1,
	ASTRING = 2,
	TAG = 4,
	LIST = 8,
	QUOTABLE = 16,
};

#define A (ATOM | ASTRING | TAG | LIST | QUOTABLE)
#define Q QUOTABLE
#define U QUOTABLE

/* clang-format off */
static const unsigned char class[256] = {
	/* 00 */ 0, 0, 0, 0, 0, 0, 0, 0,  0, Q, 0, 0, 0, 0, 0, 0,
	/* 10 */ 0, 0, 0, 0, 0, 0, 0, 0,  0, 0, 0, 0, 0, 0, 0, 0,
	/* SP ! " # $ % & '     ( ) * + , - . / */
	Q, A, 0, A, A, LIST | Q, A, A,
	Q, Q, LIST | Q, ATOM | ASTRING | LIST | Q, A, A, A, A,
	/* 0-7                  8 9 : ; < = > ? */
	A, A, A, A, A, A, A, A,  A, A, A, A, A, A, A, A,
	/* @-G                  H-O */
	A, A, A, A, A, A, A, A,  A, A, A, A, A, A, A, A,
	/* P-W                  X Y Z [ \ ] ^ _ */
	A, A, A, A, A, A, A, A,
	A, A, A, A, 0, ASTRING | TAG | LIST | Q, A, A,
	/* `-g                  h-o */
	A, A, A, A, A, A, A, A,  A, A, A, A, A, A, A, A,
	/* p-w                  x y z { | } ~ DEL */
	A, A, A, A, A, A, A, A,  A, A, A, Q, A, A, A, 0,
	/* 80 */ U, U, U, U, U, U, U, U,  U, U, U, U, U, U, U, U,
	/* 90 */ U, U, U, U, U, U, U, U,  U, U, U, U, U, U, U, U,
	/* a0 */ U, U, U, U, U, U, U, U,  U, U, U, U, U, U, U, U,
	/* b0 */ U, U, U, U, U, U, U, U,  U, U, U, U, U, U, U, U,
	/* c0 */ U, U, U, U, U, U, U, U,  U, U, U, U, U, U, U, U,
	/* d0 */ U, U, U, U, U, U, U, U,  U, U, U, U, U, U, U, U,
	/* e0 */ U, U, U, U, U, U, U, U,  U, U, U, U, U, U, U, U,
	/* f0 */ U, U, U, U, U, U, U, U,  U, U, U, U, U, U, U, U,
};
/* clang-format on */

bool
imap_is_atom(unsigned char c)
{
	return (class[c] & ATOM) != 0;
}

bool
imap_is_astring(unsigned char c)
{
	return (class[c] & ASTRING) != 0;
}

bool
imap_is_tag(unsigned char c)
{
	return (class[c] & TAG) != 0;
}

bool
imap_is_list(unsigned char c)
{
	return (class[c] & LIST) != 0;
}

bool
imap_is_quotable(unsigned char c)
{
	return (class[c] & QUOTABLE) != 0;
}
