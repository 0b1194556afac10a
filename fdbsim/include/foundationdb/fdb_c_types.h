/* Types of the FoundationDB C API, version 730: the opaque handles and the plain records that cross
 * the boundary. Written for the in-process stand-in; the layout of the packed records is what the
 * API documents and what the Go binding reads by offset. */
#ifndef FDB_C_TYPES_H
#define FDB_C_TYPES_H
#pragma once

#include <stdint.h>

#ifndef DLLEXPORT
#define DLLEXPORT
#endif

/* The Go side exports its functions without const, which Go's types cannot express. Its own
 * translation units define FDBSIM_EXPORTS so that these very prototypes are checked against the
 * exported functions by the C compiler; everybody else sees the usual const. */
#ifdef FDBSIM_EXPORTS
#define FDBSIM_CONST
#else
#define FDBSIM_CONST const
#endif

typedef int fdb_error_t;
typedef int fdb_bool_t;

typedef struct FDB_future FDBFuture;
typedef struct FDB_database FDBDatabase;
typedef struct FDB_tenant FDBTenant;
typedef struct FDB_transaction FDBTransaction;

#pragma pack(push, 4)
typedef struct key {
	FDBSIM_CONST uint8_t* key;
	int key_length;
} FDBKey;

typedef struct keyvalue {
	FDBSIM_CONST uint8_t* key;
	int key_length;
	FDBSIM_CONST uint8_t* value;
	int value_length;
} FDBKeyValue;
#pragma pack(pop)

typedef void (*FDBCallback)(FDBFuture* future, void* callback_parameter);

#endif
