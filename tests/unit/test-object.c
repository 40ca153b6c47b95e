/* SPDX-License-Identifier: MIT */
/* Objects of -object: creation, errors, use counts, order of the end. */
#include <string.h>
#include "base/object.h"

typedef struct Thing {
    Object object;
    uint64_t size;
    char *word;
    bool refuse;
} Thing;

static GString *ended;

static bool thing_complete(Object *o, Error **errp)
{
    if (((Thing *)o)->refuse)
        error_setf(errp, "object '%s': refused", o->id);
    return !((Thing *)o)->refuse;
}

static void thing_finalize(Object *o)
{
    g_string_append_printf(ended, "%s;", o->id);
}

static const Property thing_props[] = {
    DEFINE_PROP_SIZE("size", Thing, size, 4096, "bytes"),
    DEFINE_PROP_STRING("word", Thing, word, "none", "a word"),
    DEFINE_PROP_BOOL("refuse", Thing, refuse, false, "fail"),
    DEFINE_PROP_END,
};
static const ObjectType thing_type = { .name = "thing-a", .kind = "thing", .desc = "a thing", .size = sizeof(Thing),
                                       .props = thing_props, .complete = thing_complete, .finalize = thing_finalize };
OBJECT_REGISTER(thing_type)
static const ObjectType other_type = { .name = "other", .desc = "another", .size = sizeof(Object) };
OBJECT_REGISTER(other_type)

static Object *add(const char *text, Error **errp)
{
    g_autoptr(Opts) o = opts_parse(text, "qom-type", NULL);
    return object_add(o, errp);
}

static void refused(const char *text, const char *message)
{
    Error *err = NULL;
    g_assert_null(add(text, &err));
    g_assert_cmpstr(err->message, ==, message);
    error_free(err);
}

static void test_life(void)
{
    ended = g_string_new(NULL);
    Thing *a = (Thing *)add("thing-a,id=a,size=1M,word=x", NULL);
    g_assert_nonnull(a);
    g_assert_cmpuint(a->size, ==, 1 << 20);
    g_assert_cmpstr(a->word, ==, "x");
    Thing *b = (Thing *)object_new("thing-a", "b", NULL, "size", "8k", NULL);
    g_assert_cmpuint(b->size, ==, 8192);
    g_assert_cmpstr(b->word, ==, "none");
    g_assert_nonnull(add("other,id=c", NULL));
    g_assert_true(object_find("a", "thing") == &a->object);
    g_assert_null(object_find("a", "other"));
    g_assert_true(object_take("a", "thing", NULL) == &a->object);
    Error *err = NULL;
    g_assert_false(object_del("a", &err));
    g_assert_cmpstr(err->message, ==, "object 'a' is in use; remove what uses it first");
    error_free(err);
    object_release(&a->object);
    g_assert_true(object_del("a", NULL));
    g_assert_cmpstr(ended->str, ==, "a;");
    g_assert_nonnull(add("thing-a,id=a", NULL));
    objects_free_all();
    g_assert_cmpstr(ended->str, ==, "a;a;b;");
    g_assert_null(object_first());
    g_string_free(ended, true);
}

static void test_errors(void)
{
    ended = g_string_new(NULL);
    refused("thing-b,id=a", "object type 'thing-b': not known; did you mean 'thing-a'?");
    refused("thing-a", "object of type 'thing-a' has no id; add id=NAME");
    refused("thing-a,id=r,refuse=on", "object 'r': refused");
    g_assert_cmpstr(ended->str, ==, "r;");
    g_assert_nonnull(add("thing-a,id=a", NULL));
    refused("other,id=a", "object 'a' exists already; choose another id");
    Error *err = NULL;
    g_assert_null(object_get("x", "thing", &err));
    g_assert_cmpstr(err->message, ==, "there is no object 'x'; add -object thing-a,id=x");
    g_clear_pointer(&err, error_free);
    g_assert_null(object_get("a", "other", &err));
    g_assert_cmpstr(err->message, ==, "object 'a' is of type 'thing-a', not a other");
    g_clear_pointer(&err, error_free);
    g_assert_null(add("thing-a,id=z,sise=1", &err));
    g_assert_nonnull(strstr(err->message, "did you mean 'size'?"));
    error_free(err);
    objects_free_all();
    g_string_free(ended, true);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/object/life", test_life);
    g_test_add_func("/object/errors", test_errors);
    return g_test_run();
}
