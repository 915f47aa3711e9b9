/*
 * store_int.h - what the rooms of the store share, by what they are about.
 */
#ifndef STORE_STORE_INT_H
#define STORE_STORE_INT_H

#include "service/store/account_int.h"
#include "service/store/disk_int.h"
#include "service/store/journal_int.h"
#include "service/store/mailbox_int.h"
#include "service/store/peers_int.h"
#include "service/store/view_int.h"

#endif
