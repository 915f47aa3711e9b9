#!/bin/sh
# The test of the tests: a protection is taken out of the store, and the case
# that was written for it must fail. One line each: the file, the case, the
# program, and what perl does to the source.
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build}
CC=${CC:-cc}
T=$(mktemp -d "${TMPDIR:-/tmp}/quire-mutants-XXXXXX") || exit 1
trap 'rm -rf "$T"' EXIT INT TERM

value() {
	sed -n "s/^$1 = //p" "$BUILD/Makefile"
}
libs="$BUILD/libservice.a $BUILD/libformat.a $BUILD/libsystem.a
    $BUILD/libbase.a"
for lib in UNISTRING_LIBS ZLIB_LIBS ZSTD_LIBS CHECK_LIBS; do
	libs="$libs $(value $lib)"
done

bad=0 n=0
# mutant FILE PROGRAM CASE PERL
mutant() {
	n=$((n + 1))
	make -s -C "$BUILD" "t/unit/store/$2" >/dev/null || exit 1
	perl -0pe "$4" "lib/service/store/$1" >"$T/mutant.c"
	if cmp -s "$T/mutant.c" "lib/service/store/$1"; then
		bad=1
		echo "not ok $n - $1 has changed: nothing matches for $3"
		return
	fi
	# shellcheck disable=SC2086 # a list of words
	if ! $CC -std=c11 -D_GNU_SOURCE -fno-strict-aliasing -fPIE -O1 -w \
	    -Ilib -pie -o "$T/check" "$BUILD/t/unit/store/$2-$2.o" \
	    "$T/mutant.c" $libs; then
		echo "Bail out! no mutant of $1"
		exit 1
	fi
	CK_RUN_CASE=$3 TMPDIR=$T "$T/check" >"$T/out" 2>&1
	if grep -q '^not ok' "$T/out"; then
		echo "ok $n - $3 fails without it"
	else
		bad=1
		echo "not ok $n - $3 passes without it: $4"
	fi
}

v=check_traces
# the name we mean is taken for the name there is
mutant view/apply_names.c $v \
    killed_between_ok_and_rename_new_index_scan_seen_stays \
    's/(v->st\[row\] \|= ST_INTENT;)/\1 v->fn[row] = v->fnx[row];/'
# an index forgets intents
mutant view/index_write.c $v \
    killed_after_rename_taken_back_new_index_scan_not_seen \
    's/\| ST_INTENT \| ST_DONE \|/| ST_DONE |/'
# a lost rename is taken for a wish, a wish for a lost rename
mutant maildir/scan_judge.c $v done_rename_lost_with_the_power_seen_stays \
    's/\(st & \(ST_INTENT \| ST_OLDBOOT\)\)/(st & ST_INTENT)/'
mutant maildir/scan_judge.c $v done_name_turned_back_in_this_boot_not_seen \
    's/\(ST_INTENT \| ST_OLDBOOT\)\) != 0 &&/(ST_INTENT | ST_DONE)) != 0 \&\&/'
# DONE never becomes durable
mutant view/index_write.c $v durable_name_turned_back_in_another_boot_not_seen \
    's/return \(v->st\[i\] & \(ST_DONE \| ST_OLDBOOT\)\) == ST_DONE/return 0/; s/st\[i\] = v->st\[i\] &/st[i] = (v->st[i] | (v->st[i] & ST_DONE ? ST_OLDBOOT : 0)) \&/'
# names before a reboot are not known; or only ours
mutant maildir/scan_judge.c $v two_renames_lost_with_the_power_flags_stay \
    's/view_had_name\(v, d->row, theirs\)/0/'
mutant view/apply_names.c $v rename_of_others_lost_with_the_power_seen_stays \
    's/if \(a->t->boot != boot_id\(\)\)\s+note_names/if (0) note_names/'
# and are never forgotten
mutant view/apply_names.c $v two_renames_lost_with_the_power_flags_stay \
    's/if \(s.dir == 0 && s.mtime != 0\)/if (0)/'
# a rename that found no file counts as done
mutant maildir/mirror.c $v renamed_by_others_before_our_rename_both_win \
    's/(m->must_scan = true;\s+return) false/\1 true/'
# a rename replaces
mutant disk/step.c $v name_taken_before_our_rename_nothing_is_lost \
    's/to, RENAME_NOREPLACE/to, 0/'
# no time for who is between link and unlink
mutant maildir/scan_judge.c $v second_name_young_both_stay \
    's/st_ctim.tv_sec > store_young_s\)\s+put_name_aside/st_ctim.tv_sec >= 0) put_name_aside/'
# unlinked, not put aside; put aside without another look
mutant maildir/scan_judge.c $v second_name_old_is_put_aside \
    's/return step_rename\(x->dir == 1 \? m->newfd : m->curfd, x->file, m->expfd,\s+to\)/return step_unlink(x->dir == 1 ? m->newfd : m->curfd, x->file)/'
mutant maildir/scan_judge.c $v two_parties_each_see_a_second_name \
    's/!row_is_there\(s, x->row\)/0/'
# what a COPY left is a message; what others moved is not
mutant maildir/scan_judge.c $v killed_between_link_and_add_of_copy \
    's/return n->is_ours && n->is_copy/return 0 \&\& n->is_copy/'
mutant maildir/scan_judge.c $v copy_moved_by_others_is_a_message \
    's/st->st_ctim.tv_sec - n->seconds <= store_young_s/1/'
# nobody finishes a MOVE; or whatever became of its messages
mutant view/reload.c $v move_killed_between_the_syncs_is_finished \
    's/if \(m->v.nmoves == 0\)/if (1)/'
mutant mailbox/move.c $v move_killed_between_the_syncs_target_expunged \
    's/\(b->v.st\[rb\] & ST_GHOST\) == 0/1/; s/(ra < a->v.n && rb < b->v.n) && \(a->v.st\[ra\] & ST_GHOST\) == 0/rb < b->v.n; return 1/'
mutant mailbox/move.c $v move_to_finish_source_is_another_message \
    's/memcmp\(ca.emailid, cb.emailid, 16\) == 0/1/'
# what a failed sync left is not written again; or is shown
mutant journal/journal_repair.c $v eio_then_reread \
    's/(n <= 0 \|\|\s+)step_pwrite\(j->fd, str_make\(p, \(size_t\)n\), off\) == -1/\1 0/'
mutant journal/journal.c $v eio_then_reread \
    's/(err_sys\(e, "sync journal"\);\s+)take_back\(j\);/\1/'
mutant journal/journal_repair.c $v eio_and_killed_then_reread \
    's/(j->end - from \|\|\s+)step_pwrite\(j->fd, str_make\(p, \(size_t\)n\), from\) == -1/\1 0/'
mutant journal/journal.c $v eio_and_killed_then_reread \
    's/if \(j->pub_ok && j->pub.end < upto\)/if (0)/'
v=check_review
# hints believed, locks not looked at, no comparison
mutant journal/journal.c $v lock_replaced_under_sessions \
    's/if \(has_name\(j, "lock", &j->lock, &id\)\)/if (1)/'
mutant journal/journal_tail.c $v journal_put_back_under_a_session \
    's/memcmp\(p, j->foot, TXN_FOOT\) != 0/0/'
mutant maildir/scan_judge.c $v wrong_S_of_ours_unregistered_is_no_message \
    's/n.size != \(uint64_t\)st.st_size/0/'
mutant maildir/msgfile.c $v partial_reads_have_checkpoints \
    's/m->kept = f;\s+f->refs\+\+;//'
mutant mailbox/copy.c $v copy_where_links_are_refused \
    's/errno != EPERM &&//'
mutant maildir/scan_judge.c $v mass_loss_delivery_goes_on \
    's/return gone > LOSS_MIN &&/return 0 \&\&/'
# reading what others move
mutant maildir/rowfile.c $v moved_by_another_session_is_served \
    's/fd = open_moved\(m, row\)/fd = -1/'
mutant maildir/rowfile.c $v one_directory_read_per_offset \
    's/s == NULL \|\| s->end != m->j.end/1/'
mutant maildir/rowfile.c $v gone_and_two_generations_behind_is_served \
    's/\(v->st\[k->row\] & ST_GHOST\) != 0 \|\|//'
# a wish that was withdrawn is still one
mutant mailbox/flags.c $v taken_back_before_its_rename_then_set_by_others \
    's/withdraw_intents\(m, &s->revoked\);//'
v=check_sectors
export QUIRE_STRIDE=1 # from here on: each sector
mutant journal/txn.c $v synced 's/txn_crc\(j->salt, p, len\) != le32_get\(p \+ 8\) \|\|//'
mutant journal/txn.c $v synced 's/txn_crc\(j->salt, p, len\)/txn_crc(0, p, len)/g; s/crc32c\(salt/crc32c(0/'
mutant journal/txn.c $v unsynced 's/txn_crc\(j->salt, p, len\) != le32_get\(p \+ 8\) \|\|//'
mutant view/recs.c $v synced \
    's/\|\|\s+le32_get\(p.p \+ 8\) != crc32c\(r->salt, p.p \+ 12, len - 12\)//'
mutant view/index.c $v synced \
    's/return crc32c\(0, p, n\) == le32_get\(crcs.p \+ 4 \* k\);/return 1;/'
mutant maildir/cache.c $v synced \
    's/le32_get\(p \+ 8\) != crc32c\(0, p \+ 12, len - 12\) \|\|//'

# damaged journals
v=check_regain
mutant peers/regain.c $v expunged 's/return t->c.uidnext;/return 0;/'
mutant peers/regain.c $v sectors 's/write_healed\(r, t\) == -1/false/'
mutant peers/regain.c $v sectors 's/write_keywords\(r\) == -1 \|\|//'
echo "1..$n"
exit $bad
