/* The FoundationDB C API, version 730, as far as the official Go binding uses it. Written for the
 * in-process stand-in, whose functions are exported by Go code of the same binary (package libfdb). */
#ifndef FDB_C_H
#define FDB_C_H
#pragma once

#ifndef FDB_API_VERSION
#error Define FDB_API_VERSION before including fdb_c.h
#elif FDB_API_VERSION != 730
#error The stand-in speaks API version 730 only
#endif

#include <foundationdb/fdb_c_options.g.h>
#include <foundationdb/fdb_c_types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Errors */
DLLEXPORT FDBSIM_CONST char* fdb_get_error(fdb_error_t code);
DLLEXPORT fdb_bool_t fdb_error_predicate(int predicate_test, fdb_error_t code);

/* Network */
DLLEXPORT fdb_error_t fdb_select_api_version_impl(int runtime_version, int header_version);
DLLEXPORT int fdb_get_max_api_version(void);
DLLEXPORT FDBSIM_CONST char* fdb_get_client_version(void);
DLLEXPORT fdb_error_t fdb_network_set_option(FDBNetworkOption option, FDBSIM_CONST uint8_t* value, int value_length);
DLLEXPORT fdb_error_t fdb_setup_network(void);
DLLEXPORT fdb_error_t fdb_run_network(void);
DLLEXPORT fdb_error_t fdb_stop_network(void);

/* Futures */
DLLEXPORT void fdb_future_cancel(FDBFuture* f);
DLLEXPORT void fdb_future_release_memory(FDBFuture* f);
DLLEXPORT void fdb_future_destroy(FDBFuture* f);
DLLEXPORT fdb_error_t fdb_future_block_until_ready(FDBFuture* f);
DLLEXPORT fdb_bool_t fdb_future_is_ready(FDBFuture* f);
DLLEXPORT fdb_error_t fdb_future_set_callback(FDBFuture* f, FDBCallback callback, void* callback_parameter);
DLLEXPORT fdb_error_t fdb_future_get_error(FDBFuture* f);
DLLEXPORT fdb_error_t fdb_future_get_int64(FDBFuture* f, int64_t* out);
DLLEXPORT fdb_error_t fdb_future_get_key(FDBFuture* f, FDBSIM_CONST uint8_t** out_key, int* out_key_length);
DLLEXPORT fdb_error_t fdb_future_get_value(FDBFuture* f,
                                           fdb_bool_t* out_present,
                                           FDBSIM_CONST uint8_t** out_value,
                                           int* out_value_length);
DLLEXPORT fdb_error_t fdb_future_get_keyvalue_array(FDBFuture* f,
                                                    FDBSIM_CONST FDBKeyValue** out_kv,
                                                    int* out_count,
                                                    fdb_bool_t* out_more);
DLLEXPORT fdb_error_t fdb_future_get_key_array(FDBFuture* f, FDBSIM_CONST FDBKey** out_key_array, int* out_count);
DLLEXPORT fdb_error_t fdb_future_get_string_array(FDBFuture* f, FDBSIM_CONST char*** out_strings, int* out_count);

/* Databases */
DLLEXPORT fdb_error_t fdb_create_database(FDBSIM_CONST char* cluster_file_path, FDBDatabase** out_database);
DLLEXPORT fdb_error_t fdb_create_database_from_connection_string(FDBSIM_CONST char* connection_string,
                                                                 FDBDatabase** out_database);
DLLEXPORT void fdb_database_destroy(FDBDatabase* d);
DLLEXPORT fdb_error_t fdb_database_set_option(FDBDatabase* d,
                                              FDBDatabaseOption option,
                                              FDBSIM_CONST uint8_t* value,
                                              int value_length);
DLLEXPORT fdb_error_t fdb_database_create_transaction(FDBDatabase* d, FDBTransaction** out_transaction);
DLLEXPORT fdb_error_t fdb_database_open_tenant(FDBDatabase* d,
                                               FDBSIM_CONST uint8_t* tenant_name,
                                               int tenant_name_length,
                                               FDBTenant** out_tenant);
DLLEXPORT FDBFuture* fdb_database_reboot_worker(FDBDatabase* d,
                                                FDBSIM_CONST uint8_t* address,
                                                int address_length,
                                                fdb_bool_t check,
                                                int duration);
DLLEXPORT FDBFuture* fdb_database_get_client_status(FDBDatabase* d);

/* Tenants */
DLLEXPORT fdb_error_t fdb_tenant_create_transaction(FDBTenant* tenant, FDBTransaction** out_transaction);
DLLEXPORT void fdb_tenant_destroy(FDBTenant* tenant);

/* Transactions */
DLLEXPORT void fdb_transaction_destroy(FDBTransaction* tr);
DLLEXPORT void fdb_transaction_cancel(FDBTransaction* tr);
DLLEXPORT void fdb_transaction_reset(FDBTransaction* tr);
DLLEXPORT fdb_error_t fdb_transaction_set_option(FDBTransaction* tr,
                                                 FDBTransactionOption option,
                                                 FDBSIM_CONST uint8_t* value,
                                                 int value_length);
DLLEXPORT void fdb_transaction_set_read_version(FDBTransaction* tr, int64_t version);
DLLEXPORT FDBFuture* fdb_transaction_get_read_version(FDBTransaction* tr);
DLLEXPORT FDBFuture* fdb_transaction_get(FDBTransaction* tr,
                                         FDBSIM_CONST uint8_t* key_name,
                                         int key_name_length,
                                         fdb_bool_t snapshot);
DLLEXPORT FDBFuture* fdb_transaction_get_key(FDBTransaction* tr,
                                             FDBSIM_CONST uint8_t* key_name,
                                             int key_name_length,
                                             fdb_bool_t or_equal,
                                             int offset,
                                             fdb_bool_t snapshot);
DLLEXPORT FDBFuture* fdb_transaction_get_range(FDBTransaction* tr,
                                               FDBSIM_CONST uint8_t* begin_key_name,
                                               int begin_key_name_length,
                                               fdb_bool_t begin_or_equal,
                                               int begin_offset,
                                               FDBSIM_CONST uint8_t* end_key_name,
                                               int end_key_name_length,
                                               fdb_bool_t end_or_equal,
                                               int end_offset,
                                               int limit,
                                               int target_bytes,
                                               FDBStreamingMode mode,
                                               int iteration,
                                               fdb_bool_t snapshot,
                                               fdb_bool_t reverse);
DLLEXPORT FDBFuture* fdb_transaction_get_addresses_for_key(FDBTransaction* tr,
                                                           FDBSIM_CONST uint8_t* key_name,
                                                           int key_name_length);
DLLEXPORT FDBFuture* fdb_transaction_get_estimated_range_size_bytes(FDBTransaction* tr,
                                                                    FDBSIM_CONST uint8_t* begin_key_name,
                                                                    int begin_key_name_length,
                                                                    FDBSIM_CONST uint8_t* end_key_name,
                                                                    int end_key_name_length);
DLLEXPORT FDBFuture* fdb_transaction_get_range_split_points(FDBTransaction* tr,
                                                            FDBSIM_CONST uint8_t* begin_key_name,
                                                            int begin_key_name_length,
                                                            FDBSIM_CONST uint8_t* end_key_name,
                                                            int end_key_name_length,
                                                            int64_t chunk_size);
DLLEXPORT void fdb_transaction_set(FDBTransaction* tr,
                                   FDBSIM_CONST uint8_t* key_name,
                                   int key_name_length,
                                   FDBSIM_CONST uint8_t* value,
                                   int value_length);
DLLEXPORT void fdb_transaction_atomic_op(FDBTransaction* tr,
                                         FDBSIM_CONST uint8_t* key_name,
                                         int key_name_length,
                                         FDBSIM_CONST uint8_t* param,
                                         int param_length,
                                         FDBMutationType operation_type);
DLLEXPORT void fdb_transaction_clear(FDBTransaction* tr, FDBSIM_CONST uint8_t* key_name, int key_name_length);
DLLEXPORT void fdb_transaction_clear_range(FDBTransaction* tr,
                                           FDBSIM_CONST uint8_t* begin_key_name,
                                           int begin_key_name_length,
                                           FDBSIM_CONST uint8_t* end_key_name,
                                           int end_key_name_length);
DLLEXPORT fdb_error_t fdb_transaction_add_conflict_range(FDBTransaction* tr,
                                                         FDBSIM_CONST uint8_t* begin_key_name,
                                                         int begin_key_name_length,
                                                         FDBSIM_CONST uint8_t* end_key_name,
                                                         int end_key_name_length,
                                                         FDBConflictRangeType type);
DLLEXPORT FDBFuture* fdb_transaction_watch(FDBTransaction* tr,
                                           FDBSIM_CONST uint8_t* key_name,
                                           int key_name_length);
DLLEXPORT FDBFuture* fdb_transaction_commit(FDBTransaction* tr);
DLLEXPORT fdb_error_t fdb_transaction_get_committed_version(FDBTransaction* tr, int64_t* out_version);
DLLEXPORT FDBFuture* fdb_transaction_get_versionstamp(FDBTransaction* tr);
DLLEXPORT FDBFuture* fdb_transaction_get_approximate_size(FDBTransaction* tr);
DLLEXPORT FDBFuture* fdb_transaction_on_error(FDBTransaction* tr, fdb_error_t error);

#ifdef __cplusplus
}
#endif

#endif
