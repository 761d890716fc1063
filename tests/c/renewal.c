/*
 * The server refuses the token. The host's function returns another one on the thread of the call, which then runs
 * again. Or the host sets a token itself.
 */
#include "block.h"

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

static int32_t match_one(const plexindex_handle *handle, const plexindex_query *query, plexindex_buffer *block,
                         plexindex_buffer *error)
{
    plexindex_query batch = *query;
    batch.text.length++; /* its NUL */
    return plexindex_match_paths(handle, &batch, 1, block, error);
}

static int32_t no_token(void *calls, plexindex_buffer *token)
{
    (void)token;
    ++*(int *)calls;
    return 1;
}

/* Without a new token the old listing answers at once, even with little memory. */
static void old_answers(const struct setting *setting)
{
    static const struct {
        ask_fn function;
        const char *text;
        int32_t status;
    } asked[] = {
        {plexindex_match_path, "/data/movies/Exact (2001)/Exact (2001).mkv", PLEXINDEX_OK},
        {plexindex_match_path, "/data/movies/N (2000)/N (2000).mkv", PLEXINDEX_NOT_FOUND},
        {match_one, "/data/movies/N (2000)/N (2000).mkv", PLEXINDEX_OK},
    };
    size_t i;
    for (i = 0; i < sizeof asked / sizeof *asked; i++) {
        int calls = 0;
        plexindex_options options = options_of(setting);
        plexindex_query query = query_of(NULL, NULL);
        plexindex_handle *handle;
        plexindex_buffer block = {NULL, 0, 0};
        int32_t status;
        options.user = plexindex_bytes_of("ann");
        options.library_ttl_ms = PLEXINDEX_TTL_AT_ONCE;
        options.renew_token = no_token;
        options.renew_token_user = &calls;
        handle = opened(&options);
        CHECK_STATUS(PLEXINDEX_OK, plexindex_refresh(handle, &query, ERROR));
        CHECK_STATUS(PLEXINDEX_OK, plexindex_set_token(handle, "refused", 7, ERROR));
        query.text = plexindex_bytes_of(asked[i].text);
        do status = asked[i].function(handle, &query, &block, ERROR);
        while (plexindex_buffer_grow(&block, status));
        CHECK_STATUS(asked[i].status, status);
        CHECK(calls == 1 && plexindex_get_answer(&block, 0)->flags == PLEXINDEX_ANSWER_STALE);
        plexindex_buffer_free(&block);
        CHECK_STATUS(PLEXINDEX_OK, plexindex_close(handle, ERROR));
    }
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
    old_answers(&setting);
    return 0;
}
