# SPDX-License-Identifier: MIT
# The programs of the benchmark, in order. Read by the guest's init as /bench/run, and natively with
# bench=FOLDER, root=FOLDER of the Debian packages, and load=the dynamic loader with its options.
: "${bench=/bench}" "${root=}" "${load=}" "${only=}"
cd "$bench" || exit 1
for word in $(cat /proc/cmdline); do
    case $word in
        rhea.bench=*) only=$(echo "${word#*=}" | tr , ' ') ;;
    esac
done

timed() {
    case " ${only:-$1} " in
        *" $1 "* | *" ${1%%-*} "*) "$bench/programs" time "$@" ;;
    esac
}

for program in sieve matrix collatz qsort crc32 hash; do
    timed int-$program "$bench/programs" $program
done
timed gcc-cc1 $load $root/usr/lib/gcc/x86_64-linux-gnu/12/cc1 -quiet -O2 -fpreprocessed \
    input.i -o /dev/stdout
timed zstd-fast $load $root/usr/bin/zstd -q -6 --single-thread -c text
timed zstd-high $load $root/usr/bin/zstd -q -12 --single-thread -c text.part
timed zstd-unpack $load $root/usr/bin/zstd -q -d -c text.zst text.zst text.zst
for script in calls tables strings float; do
    timed lua-$script $load $root/usr/bin/lua5.4 $script.lua
done
for script in hashes regex; do
    timed perl-$script $load $root/usr/bin/perl $script.pl
done
timed sha256 "$bench/programs" sha256
timed double "$bench/programs" double
timed fork+exec "$bench/programs" fork
