# A Dovecot from build/peers on loopback, for flows and benches.
#   dovecot_conf DIR MAILDIR PORT   writes DIR/dovecot.conf
#   dovecot_start DIR               starts it (DOVECOT_PID)
#   dovecot_stop
#   dovecot_run DIR PROGRAM ARG..   doveadm, dovecot-lda with that configuration
# DOVECOT_LAYOUT (fs) and DOVECOT_SAVE (gz, zstd) change how mail is kept.
# User quire, password quirequire. Needs `as` of flow.sh.
DOVE=${PEERS:-$SRCDIR/build/peers}

# Run in a mount namespace in which the unpacked packages lie over /usr: the
# machine itself stays as it is. Needs root; then works as the flow's uid.
dovecot_in() (
	# shellcheck disable=SC2016
	exec unshare -m sh -c '
	D=$1 U=$2; shift 2
	for d in lib bin sbin share; do
		mount -t overlay overlay -o lowerdir="$D/usr/$d:/usr/$d" /usr/$d ||
		    exit 99
	done
	exec setpriv --reuid "$U" --regid "$U" --clear-groups "$@"
	' sh "$DOVE" "$FLOW_UID" "$@"
)
dovecot_possible() {
	[ "$(id -u)" -eq 0 ] && [ -x "$DOVE/usr/sbin/dovecot" ] &&
	    dovecot_in true 2>/dev/null
}

dovecot_conf() {
	_u=$(as id -u)
	as mkdir -p "$1/run"
	cat >"$1/dovecot.conf" <<C
protocols = imap
listen = 127.0.0.1
base_dir = $1/run
state_dir = $1/run
auth_verbose = yes
log_path = $1/dovecot.log
ssl = no
disable_plaintext_auth = no
default_internal_user = flow
default_internal_group = FLOWGROUP
default_login_user = flow
first_valid_uid = 1
mail_location = maildir:$2${DOVECOT_LAYOUT:+:LAYOUT=$DOVECOT_LAYOUT}
mail_uid = $_u
mail_gid = $_u
maildir_stat_dirs = no
namespace inbox {
  inbox = yes
  separator = /
}
passdb {
  driver = static
  args = password=quirequire
}
userdb {
  driver = static
  args = uid=$_u gid=$_u home=$1/home
}
service imap-login {
  chroot =
  inet_listener imap {
    port = $3
  }
  inet_listener imaps {
    port = 0
  }
}
service anvil {
  chroot =
}
service stats {
  chroot =
}
service imap {
  process_limit = 1000
  # a million messages need more than its default of 256 MB
  vsz_limit = 2G
}
service auth {
  user = flow
}
service auth-worker {
  user = flow
}
C
	[ -z "${DOVECOT_SAVE-}" ] || cat >>"$1/dovecot.conf" <<C
mail_plugins = zlib
plugin {
  zlib_save = $DOVECOT_SAVE
}
C
	# Dovecot wants names for its users; an unprivileged uid has none here
	sed -i "s/= flow$/= $(as id -un)/; s/FLOWGROUP/$(as id -gn)/" "$1/dovecot.conf"
}

dovecot_start() {
	dovecot_in /usr/sbin/dovecot -F -c "$1/dovecot.conf" \
	    >>"$1/dovecot.out" 2>&1 &
	_n=0
	until grep -q 'Dovecot.*starting up' "$1/dovecot.log" 2>/dev/null &&
	    [ -s "$1/run/master.pid" ]; do
		_n=$((_n + 1))
		[ $_n -lt 100 ] || {
			diag "$(cat "$1/dovecot.out" "$1/dovecot.log" 2>&1)"
			return 1
		}
		sleep 0.1
	done
	# the shell's own child is only what made the namespace
	DOVECOT_PID=$(cat "$1/run/master.pid")
}

dovecot_stop() {
	[ -n "${DOVECOT_PID-}" ] || return 0
	kill "$DOVECOT_PID" 2>/dev/null
	_n=0
	while kill -0 "$DOVECOT_PID" 2>/dev/null && [ $_n -lt 50 ]; do
		_n=$((_n + 1))
		sleep 0.1
	done
	DOVECOT_PID=
}

dovecot_run() {
	_d=$1 _p=$2
	shift 2
	case $_p in
	doveadm) _p=/usr/bin/doveadm ;;
	*) _p=/usr/lib/dovecot/$_p ;;
	esac
	dovecot_in "$_p" -c "$_d/dovecot.conf" "$@"
}
