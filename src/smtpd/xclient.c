#include "smtpd.h"
#include "system/log/log.h"

bool
xclient_is_front(
    const struct front *f, const struct daemon_listener *l, const char *remote)
{
	const struct config_listener *c =
	    config_listener(f->config, str_from(l->name));

	return c != NULL && door_trusts(&c->xclient_from, remote);
}

/* An address that the front does not know leaves the one that we know. */
void
xclient_take(struct client *cl)
{
	static const struct smtp_verdict too_many = { 421, "4.7.0",
		STR_INIT("too many connections from your network, try again "
			 "later") };
	const struct xclient_value *v = smtp_session_xclient(cl->session)->v;
	bool may = true;

	LOG_INFO("xclient", F_CSTR("front", cl->remote),
	    F_STR("remote", v[XCLIENT_ADDR].text),
	    F_STR("name", v[XCLIENT_NAME].text),
	    F_STR("login", v[XCLIENT_LOGIN].text));
	if (v[XCLIENT_DESTADDR].state == XCLIENT_GIVEN)
		str_copy(
		    v[XCLIENT_DESTADDR].text, cl->local, sizeof(cl->local));
	if (v[XCLIENT_ADDR].state == XCLIENT_GIVEN) {
		str_copy(v[XCLIENT_ADDR].text, cl->remote, sizeof(cl->remote));
		may = front_enter_again(&cl->front->base, cl->listener,
			  cl->remote, &cl->addr, &cl->is_counted) == DOOR_OPEN;
	}
	cl->options.local_ip = str_from(cl->local);
	cl->options.peer_ip = str_from(cl->remote);
	smtp_session_xclient_is(cl->session, may ? NULL : &too_many);
}
