#include "tools_file.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <openssl/pem.h>

#include "base/date.h"
#include "format/dnsmsg/dnsmsg.h"
#include "quire.h"

/* "-" is standard input. The header ends before the empty line. */
int
tools_read_message(
    const char *path, struct buf *b, struct str *header, struct str *body)
{
	int fd = strcmp(path, "-") == 0 ? STDIN_FILENO :
					  open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = 1;
	size_t at;

	if (fd == -1)
		return quire_fail(EX_NOINPUT, "%s: %s", path, strerror(errno));
	while (n > 0) {
		char *p = buf_reserve(b, 65536);

		if (p == NULL)
			break;
		n = read(fd, p, 65536);
		if (n > 0)
			buf_grow(b, (size_t)n);
	}
	if (fd != STDIN_FILENO)
		close(fd);
	if (n != 0)
		return quire_fail(EX_IOERR,
		    "%s: cannot be read, or larger "
		    "than %d octets",
		    path, TOOLS_MAX_FILE);
	*header = buf_str(b);
	*body = STR("");
	at = str_search(*header, STR("\r\n\r\n"));
	if (at < header->n) {
		*body = str_sub(*header, at + 4, header->n);
		*header = str_sub(*header, 0, at + 2);
		return 0;
	}
	at = str_search(*header, STR("\n\n"));
	if (at < header->n) {
		*body = str_sub(*header, at + 2, header->n);
		*header = str_sub(*header, 0, at + 1);
	}
	return 0;
}

EVP_PKEY *
tools_read_key(const char *path)
{
	FILE *f = path == NULL ? NULL : fopen(path, "re");
	EVP_PKEY *key =
	    f == NULL ? NULL : PEM_read_PrivateKey(f, NULL, NULL, NULL);

	if (f != NULL)
		fclose(f);
	if (key == NULL)
		quire_fail(EX_NOINPUT, "%s: no private key in PEM form",
		    path == NULL ? "--key" : path);
	return key;
}

static bool
take_time(const char *arg, int64_t *out)
{
	uint64_t v;

	if (!str_uint(str_from(arg), 1ULL << 40, &v))
		return false;
	*out = (int64_t)v;
	return true;
}

int
tools_signing_args(struct tools_signing *a, int argc, char **argv,
    bool has_seal, const char *usage)
{
	static const struct option options[] = {
		{ "now", required_argument, NULL, 't' },
		{ "time", required_argument, NULL, 't' },
		{ "key", required_argument, NULL, 'k' },
		{ "domain", required_argument, NULL, 'd' },
		{ "selector", required_argument, NULL, 's' },
		{ "authserv", required_argument, NULL, 'a' },
		{ "headers", required_argument, NULL, 'h' },
		{ 0 },
	};
	int ch;

	*a = (struct tools_signing){ .now = date_now() };
	while ((ch = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (ch) {
		case 't':
			if (!take_time(optarg, &a->now))
				return quire_fail(EX_USAGE,
				    "'%s' is not a time in seconds since 1970",
				    optarg);
			break;
		case 'k':
			a->key = optarg;
			break;
		case 'd':
			a->domain = optarg;
			break;
		case 's':
			a->selector = optarg;
			break;
		case 'a':
			a->authserv = optarg;
			break;
		case 'h':
			a->headers = optarg;
			break;
		default:
			return quire_fail(EX_USAGE, "%s", usage);
		}
	a->rest = argv + optind;
	a->n_rest = argc - optind;
	if (a->domain != NULL && (!dns_name_valid(str_from(a->domain)) ||
				     !str_has(str_from(a->domain), '.')))
		return quire_fail(EX_USAGE,
		    "--domain %s is not a domain name (of an international one "
		    "give what quire idna says)",
		    a->domain);
	if (a->selector != NULL && !dns_name_valid(str_from(a->selector)))
		return quire_fail(EX_USAGE,
		    "--selector %s is not a name below _domainkey",
		    a->selector);
	if (!has_seal && (a->authserv != NULL || a->headers != NULL))
		return quire_fail(EX_USAGE, "%s", usage);
	return 0;
}
