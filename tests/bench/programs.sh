# SPDX-License-Identifier: MIT
# The programs of the benchmark, in order. Read by the guest's init as /bench/run, and natively with
# bench=FOLDER, root=FOLDER of the Debian packages, and load=the dynamic loader with its options. For another architecture's programs:
# emulator=the command that runs them, timer=a stopwatch of the host's own.
: "${bench=/bench}" "${root=}" "${load=}" "${only=}" "${emulator=}" "${repeat=1}" "${timer=$bench/programs}"
cd "$bench" || exit 1
for word in $(cat /proc/cmdline); do
    case $word in
        rhea.repeat=*) repeat=${word#*=} ;;
        rhea.bench=*) only=$(echo "${word#*=}" | tr , ' ') ;;
    esac
done

timed() {
    case " ${only:-$1} " in
        *" $1 "* | *" ${1%%-*} "*) for turn in $(seq "$repeat"); do "$timer" time "$@"; done ;;
    esac
}

for program in sieve matrix collatz qsort crc32 hash; do
    timed int-$program $emulator "$bench/programs" $program
done
timed gcc-cc1 $load "$(echo $root/usr/lib/gcc/*/12/cc1)" -quiet -O2 -fpreprocessed \
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
timed sha256 $emulator "$bench/programs" sha256
timed double $emulator "$bench/programs" double
[ -n "$emulator" ] || timed fork+exec "$bench/programs" fork
