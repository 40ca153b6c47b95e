/* SPDX-License-Identifier: MIT */
/* rhea-nbd: exports disk images by the NBD protocol. Its options are those of qemu-nbd. */
#include <stdio.h>
#include <stdlib.h>
#include "base/trace.h"
#include "tools/nbd/nbd.h"

NbdOptions opt = { .shared = 1 };

static const GOptionEntry entries[] = {
    { "port", 'p', 0, G_OPTION_ARG_STRING, &opt.port, "listen on this TCP port (10809)", "PORT" },
    { "bind", 'b', 0, G_OPTION_ARG_STRING, &opt.bind, "listen on this address (0.0.0.0)", "ADDRESS" },
    { "socket", 'k', 0, G_OPTION_ARG_FILENAME, &opt.socket, "listen on a unix socket instead of TCP", "PATH" },
    { "shared", 'e', 0, G_OPTION_ARG_INT, &opt.shared,
      "so many clients at a time, further ones wait (1); 0: any number", "NUM" },
    { "persistent", 't', 0, G_OPTION_ARG_NONE, &opt.persistent, "don't exit when the last client has gone", NULL },
    { "verbose", 'v', 0, G_OPTION_ARG_NONE, &opt.verbose, "tell what goes on", NULL },
    { "export-name", 'x', 0, G_OPTION_ARG_STRING_ARRAY, &opt.names,
      "the export's name (\"\"); several FILEs: one -x each", "NAME" },
    { "description", 'D', 0, G_OPTION_ARG_STRING, &opt.description, "text for people who list the exports", "TEXT" },
    { "offset", 'o', 0, G_OPTION_ARG_STRING, &opt.offset,
      "export what is behind so many bytes of the image (suffixes k M G T)", "OFFSET" },
    { "allocation-depth", 'A', 0, G_OPTION_ARG_NONE, &opt.depth, "offer qemu:allocation-depth, which layer holds what",
      NULL },
    { "bitmap", 'B', 0, G_OPTION_ARG_STRING_ARRAY, &opt.bitmaps,
      "offer the dirty bitmap as qemu:dirty-bitmap:NAME; may be repeated", "NAME" },
    { "list", 'L', 0, G_OPTION_ARG_NONE, &opt.list, "tell what a server at -p, -b, -k exports", NULL },
    { "object", 0, 0, G_OPTION_ARG_STRING_ARRAY, &opt.objects,
      "make an object: secret, tls-creds-x509, tls-creds-psk …", "TYPE,id=ID,…" },
    { "tls-creds", 0, 0, G_OPTION_ARG_STRING, &opt.tls_creds, "TLS with the credentials of that --object", "ID" },
    { "tls-hostname", 0, 0, G_OPTION_ARG_STRING, &opt.tls_hostname, "with --list: the name in the server's certificate",
      "NAME" },
    { "tls-authz", 0, 0, G_OPTION_ARG_STRING, &opt.tls_authz, "not supported", "ID" },
    { "trace", 'T', 0, G_OPTION_ARG_STRING_ARRAY, &opt.traces, "enable trace points", "PATTERN" },
    { "fork", 0, 0, G_OPTION_ARG_NONE, &opt.do_fork, "go to the background when the server runs", NULL },
    { "pid-file", 0, 0, G_OPTION_ARG_FILENAME, &opt.pid_file, "write the process id there", "PATH" },
    { "selinux-label", 0, 0, G_OPTION_ARG_STRING, &opt.selinux, "not supported", "LABEL" },
    { "connect", 'c', 0, G_OPTION_ARG_FILENAME, &opt.connect, "make it the kernel's block device /dev/nbdN", "DEV" },
    { "disconnect", 'd', 0, G_OPTION_ARG_FILENAME, &opt.disconnect, "disconnect the block device", "DEV" },
    { "format", 'f', 0, G_OPTION_ARG_STRING, &opt.format, "the image's format (else its first bytes decide)",
      "FORMAT" },
    { "read-only", 'r', 0, G_OPTION_ARG_NONE, &opt.read_only, "export read-only", NULL },
    { "snapshot", 's', 0, G_OPTION_ARG_NONE, &opt.snapshot, "what clients write goes to a temporary file", NULL },
    { "load-snapshot", 'l', 0, G_OPTION_ARG_STRING, &opt.snapshot_id,
      "export an internal snapshot: its id or name, or snapshot.id=ID, snapshot.name=NAME", "SNAPSHOT" },
    { "nocache", 'n', 0, G_OPTION_ARG_NONE, &opt.nocache, "as --cache=none", NULL },
    { "cache", 0, 0, G_OPTION_ARG_STRING, &opt.cache, "none, writeback (default), writethrough, directsync, unsafe",
      "MODE" },
    { "aio", 0, 0, G_OPTION_ARG_STRING, &opt.aio, "threads, native, io_uring", "MODE" },
    { "discard", 0, 0, G_OPTION_ARG_STRING, &opt.discard, "ignore, unmap (default)", "MODE" },
    { "detect-zeroes", 0, 0, G_OPTION_ARG_STRING, &opt.detect_zeroes, "off (default), on, unmap", "MODE" },
    { "image-opts", 0, 0, G_OPTION_ARG_NONE, &opt.image_opts, "FILE is a list of options, as in -blockdev", NULL },
    { "version", 'V', 0, G_OPTION_ARG_NONE, &opt.version, "tell the version", NULL },
    { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &opt.files, NULL, NULL },
    { NULL }
};

static const char examples[] =
    "Examples:\n"
    "  rhea-nbd -t -e 0 -k /tmp/nbd.sock disk.qcow2    then: nbdinfo 'nbd+unix:///?socket=/tmp/nbd.sock'\n"
    "  rhea-nbd -x a -x b a.img b.img                  two exports, by TCP\n"
    "  rhea-nbd --list -k /tmp/nbd.sock                what a server has\n"
    "  rhea-nbd --object tls-creds-psk,id=t,endpoint=server,dir=KEYS --tls-creds t disk.qcow2\n"
    "  nbdcopy [ rhea-nbd -f qcow2 disk.qcow2 ] disk.raw\n";

static int list(Error **errp)
{
    NbdAddress a = { NULL };
    g_autoptr(GString) text = g_string_new(NULL);
    if (!nbd_tool_address(&a, true, errp))
        return EXIT_FAILURE;
    Object *creds = opt.tls_creds ? tls_creds_take(opt.tls_creds, false, errp) : NULL;
    if (opt.tls_creds && !creds)
        return EXIT_FAILURE;
    NbdWant w = {
        .address = &a, .export = "", .tls = creds, .creds = creds, .tls_hostname = opt.tls_hostname, .timeout_ms = 30000
    };
    bool ok = nbd_remote_list(&w, text, errp);
    fputs(text->str, stdout);
    if (creds)
        object_release(creds);
    nbd_address_clear(&a);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

static bool make_objects(Error **errp)
{
    for (gchar **t = opt.objects; t && *t; t++) {
        g_autoptr(Opts) o = opts_parse(*t, "qom-type", errp);
        if (!o || !object_add(o, errp))
            return false;
    }
    for (gchar **t = opt.traces; t && *t; t++) {
        if (!trace_parse(*t, errp))
            return false;
    }
    return true;
}

static bool check_options(Error **errp)
{
    if (opt.tls_authz)
        error_setf(
            errp,
            "--tls-authz is not supported; who has a certificate that ca-cert.pem's authority has signed may connect");
    else if (opt.selinux)
        error_setf(errp, "--selinux-label is not supported; label the socket with chcon");
    else if (!opt.files && !opt.list && !opt.disconnect)
        error_setf(errp, "which image? give FILE, or --list; rhea-nbd --help tells the options");
    else if (opt.files && (opt.list || opt.disconnect))
        error_setf(errp, "%s takes no FILE", opt.list ? "--list" : "--disconnect");
    else if (opt.shared < 0)
        error_setf(errp, "--shared: a number of clients, or 0 for any number");
    else if (opt.snapshot && opt.read_only)
        error_setf(errp, "--snapshot is for writing, --read-only against it; give one of them");
    else
        return true;
    return false;
}

int main(int argc, char **argv)
{
    g_autoptr(GOptionContext) context = g_option_context_new("FILE... - export disk images by the NBD protocol");
    g_option_context_add_main_entries(context, entries, NULL);
    g_option_context_set_description(context, examples);
    Error *err = NULL;
    int status = EXIT_FAILURE;
    error_set_program("rhea-nbd");
    if (!g_option_context_parse(context, &argc, &argv, &err)) {
        fprintf(stderr, "rhea-nbd: %s; rhea-nbd --help tells the options\n", err->message);
    } else if (opt.version) {
        printf("rhea-nbd %s\n", RHEA_VERSION);
        return EXIT_SUCCESS;
    } else {
        if (check_options(&err) && make_objects(&err))
            status = opt.disconnect ? (nbd_kernel_disconnect(opt.disconnect, &err) ? EXIT_SUCCESS : EXIT_FAILURE)
                     : opt.list     ? list(&err)
                                    : nbd_serve(&err);
        if (err)
            fprintf(stderr, "rhea-nbd: %s\n", err->message);
    }
    error_free(err);
    objects_free_all();
    return status;
}
