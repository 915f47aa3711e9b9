#!/bin/sh
# Thunderbird through its own IMAP and SMTP code, without a window: folders,
# reading, flags and tags, IDLE, copies, Trash, drafts, sending, searches, work
# offline, a server that is restarted, and itself restarted, with TLS then.
# `make check-thunderbird'; the package is large, so `make check' is without it.
. "${SRCDIR:=.}/t/lib/tap.sh"
. "$SRCDIR/t/lib/flow.sh"
command -v thunderbird >/dev/null || skip_all "thunderbird is not installed"
flow_init 45000
cp "$SRCDIR/t/flow/thunderbird.js" "$T/"
PROFILE=$T/profile
as mkdir -m 700 "$PROFILE"

# profile IMAPPORT SUBMISSIONPORT IMAPTLS SMTPTLS: 0 none, 3 from the start
profile() {
	{
		printf 'user_pref("%s", %s);\n' \
		    marionette.port 0 \
		    mail.accountmanager.accounts '"account1"' \
		    mail.account.account1.server '"server1"' \
		    mail.account.account1.identities '"id1"' \
		    mail.server.server1.type '"imap"' \
		    mail.server.server1.hostname '"127.0.0.1"' \
		    mail.server.server1.port "$1" \
		    mail.server.server1.userName '"quire@localhost"' \
		    mail.server.server1.socketType "$3" \
		    mail.server.server1.authMethod 3 \
		    mail.server.server1.login_at_startup false \
		    mail.server.server1.check_new_mail false \
		    mail.server.default.use_condstore true \
		    mail.identity.id1.useremail '"quire@localhost"' \
		    mail.identity.id1.fullName '"Jörg Käufer"' \
		    mail.identity.id1.smtpServer '"smtp1"' \
		    mail.identity.id1.valid true \
		    mail.smtpservers '"smtp1"' \
		    mail.smtpserver.smtp1.hostname '"127.0.0.1"' \
		    mail.smtpserver.smtp1.port "$2" \
		    mail.smtpserver.smtp1.username '"quire@localhost"' \
		    mail.smtpserver.smtp1.try_ssl "$4" \
		    mail.smtpserver.smtp1.authMethod 3 \
		    mailnews.smtp.loglevel '"Warn"'
		# and nobody is asked or called
		printf 'user_pref("%s", %s);\n' \
		    mailnews.start_page.enabled false \
		    mail.shell.checkDefaultClient false \
		    mail.rights.version 1 \
		    mail.provider.enabled false \
		    app.update.enabled false \
		    datareporting.policy.dataSubmissionPolicyBypassNotification true \
		    datareporting.healthreport.uploadEnabled false \
		    toolkit.telemetry.server '""' \
		    services.settings.server '"data:,"' \
		    network.proxy.type 0 \
		    network.connectivity-service.enabled false \
		    network.captive-portal-service.enabled false
	} | as tee "$PROFILE/user.js" >/dev/null
}

# thunderbird_start LOG: until it can be told what to do
thunderbird_start() {
	rm -f "$PROFILE/MarionetteActivePort"
	MOZ_LOG=sync,timestamp,IMAP:4 MOZ_LOG_FILE=$T/home/$1 \
	    MOZ_CRASHREPORTER_DISABLE=1 as_exec thunderbird --headless \
	    --no-remote --marionette --remote-allow-system-access \
	    --profile "$PROFILE" >"$T/$1.out" 2>&1 &
	BIRD_PID=$!
	_n=0
	until [ -s "$PROFILE/MarionetteActivePort" ]; do
		_n=$((_n + 1))
		if [ $_n -gt 600 ] || ! kill -0 "$BIRD_PID" 2>/dev/null; then
			diag "Thunderbird did not start:"
			diag "$(tail -n 20 "$T/$1.out")"
			return 1
		fi
		sleep 0.1
	done
}

# it has been asked to go; thunderbird_end SECONDS is patient for so long
thunderbird_end() {
	[ -n "${BIRD_PID-}" ] || return 0
	_n=0
	while kill -0 "$BIRD_PID" 2>/dev/null && [ $_n -lt $(($1 * 10)) ]; do
		_n=$((_n + 1))
		sleep 0.1
	done
	kill -9 "$BIRD_PID" 2>/dev/null
	wait "$BIRD_PID"
	_rc=$?
	BIRD_PID=
	return $_rc
}
trap 'thunderbird_end 0 2>/dev/null; flow_cleanup' EXIT

run() {
	as timeout -k 5 400 /usr/bin/python3 "$T/thunderbird.py" "$1" \
	    "$PROFILE" "$MD" "$SMTP" "$IMAP" >"$T/py" 2>&1
	while read -r line; do
		case $line in
		"ok "*) pass "$1: ${line#ok - }" ;;
		"not ok "*) fail "$1: ${line#not ok - }" ;;
		*) diag "$line" ;;
		esac
	done <"$T/py"
	ok "$1: to its end" grep -q 'the script is at its end' "$T/py"
}

flow_start || { fail "server starts"; done_testing; exit 0; }
profile "$IMAP" "$SUBMISSION" 0 0
thunderbird_start plain || { fail "Thunderbird starts"; done_testing; exit 0; }
run first
flow_stop
printf 'From: a@example.org\nSubject: von Hand\n\nhello\n' |
    as tee "$MD/tmp/1.byhand.localhost" >/dev/null
as mv "$MD/tmp/1.byhand.localhost" "$MD/new/"
flow_start || { fail "server starts again"; done_testing; exit 0; }
run restarted
run ca
run quit
ok "Thunderbird ends" thunderbird_end 30
run away
profile "$IMAPS" "$SUBMISSIONS" 3 3
thunderbird_start tls || { fail "Thunderbird starts again"; done_testing; exit 0; }
run back
run quit
ok "Thunderbird ends again" thunderbird_end 30

# what was said; answers are told from message texts by their form
for log in plain tls; do
	cat "$T/home/$log"*moz_log >"$T/$log.said"
	like "$log: the protocol was recorded" "$(cat "$T/$log.said")" \
	    'CreateNewLineFromSocket: [0-9]+ OK .*SELECT done'
	# it looks at what was below a folder that it has just moved to Trash
	is "$log: nothing was refused" "$(grep -aE \
	    'Socket: ([0-9]+|\*) (NO|BAD)' "$T/$log.said" |
	    grep -av '\[NONEXISTENT\]')" ""
done
like "TLS: changes since a modseq were asked for" "$(cat "$T/tls.said")" \
    'SendData: [0-9]+ UID fetch 1:\* \(FLAGS\) \(CHANGEDSINCE'
like "TLS: is what Thunderbird used" "$(grep -a 'ev=login ' "$T/log" |
    tail -n 1)" 'tls=1'
flow_stop
is "the server has nothing to complain of" \
    "$(grep -aE 'level=(error|warn)' "$T/log")" ""
like "verify has nothing against it" \
    "$(as quire -C "$D" verify --deep 2>&1)" ' warnings=0 errors=0$'
done_testing
