/*
 * The server refuses the token. The host's function returns another one on the thread of the call, which then runs
 * again. Or the host sets a token itself.
 */
#include "check.h"

#include <pthread.h>

struct renewal {
    const char *token;
    pthread_t thread;
    int calls;
    int32_t status;
    size_t length;
};

static int32_t renew(void *user, plexindex_buffer *token)
{
    struct renewal *renewal = user;
    renewal->calls++;
    renewal->thread = pthread_self();
    CHECK(token->capacity == 65536 && token->length == 0);
    memcpy(token->data, renewal->token, strlen(renewal->token));
    token->length = renewal->length == 0 ? strlen(renewal->token) : renewal->length;
    return renewal->status;
}

int main(int argc, char **argv)
{
    const struct setting setting = setting_of(argc, argv);
    struct renewal renewal = {setting.token, pthread_self(), 0, 0, 0};
    plexindex_options options = options_of(&setting);
    plexindex_query query = query_of(NULL, NULL);
    plexindex_handle *handle;
    options.token = plexindex_bytes_of("no-longer-good");
    options.renew_token = renew;
    options.renew_token_user = &renewal;
    handle = opened(&options);
    CHECK_STATUS(PLEXINDEX_OK, plexindex_refresh(handle, &query, ERROR));
    CHECK(renewal.calls == 1 && pthread_equal(renewal.thread, pthread_self()));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_refresh(handle, &query, ERROR));
    CHECK(renewal.calls == 1);

    /* The call still fails without a new token, with a length beyond the buffer, and soon afterwards. */
    CHECK_STATUS(PLEXINDEX_OK, plexindex_set_token(handle, "refused", 7, ERROR));
    renewal.length = (size_t)-1;
    CHECK_REFUSED(PLEXINDEX_UNAUTHORIZED, plexindex_refresh(handle, &query, ERROR), "401");
    CHECK(renewal.calls == 2);
    CHECK_REFUSED(PLEXINDEX_UNAUTHORIZED, plexindex_refresh(handle, &query, ERROR), "401");
    CHECK(renewal.calls == 2);

    /* The host sets a token. */
    CHECK_STATUS(PLEXINDEX_OK, plexindex_set_token(handle, setting.token, strlen(setting.token), ERROR));
    CHECK_STATUS(PLEXINDEX_OK, plexindex_refresh(handle, &query, ERROR));
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_set_token(handle, "a b", 3, ERROR), "remove it");
    CHECK_REFUSED(PLEXINDEX_INVALID_ARGUMENT, plexindex_set_token(handle, "\xff", 1, ERROR), "UTF-8");
    CHECK_REFUSED(PLEXINDEX_NULL_POINTER, plexindex_set_token(handle, NULL, 1, ERROR), "token is NULL");
    CHECK_STATUS(PLEXINDEX_OK, plexindex_set_token(handle, NULL, 0, ERROR));
    CHECK_REFUSED(PLEXINDEX_UNAUTHORIZED, plexindex_refresh(handle, &query, ERROR), "none was given");
    CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
    return 0;
}
