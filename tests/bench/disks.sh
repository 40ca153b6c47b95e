# SPDX-License-Identifier: MIT
# What the guest of tests/bench/disks does: each of fio's jobs on each disk. Read by the guest's init as /bench/run.
# rhea.seconds=N: of each job; rhea.cells=JOB:DISK,...: only these.
cells=
for word in $(cat /proc/cmdline); do
    case $word in
        rhea.cells=*) cells=$(echo "${word#*=}" | tr , ' ') ;;
    esac
done

# job NAME DISK OPTION...
job() {
    case " $cells " in *" $1:${2#/dev/} "*) ;; *) return ;; esac
    echo "DISK-START $1 ${2#/dev/}"
    what="$1 ${2#/dev/}" file=$2
    shift 2
    fio --name=job --filename="$file" --ioengine=libaio --direct=1 --thread --time_based --runtime="$seconds" --ramp_time=1 \
        --invalidate=0 --randrepeat=1 --minimal "$@" > /tmp/fio 2>&1
    # terse version 3: fields 8 and 49 are the reads and the writes of a second
    awk -F';' -v n="$what" '/^3;fio/ { print "DISK", n, $8 + $49; good = 1 } END { if (!good) print "DISK-FAILED", n }' /tmp/fio
}

for disk in vda vdb nvme0n1 nvme1n1; do
    [ -b /dev/$disk ] || continue
    job read-4k-1 /dev/$disk --rw=randread --bs=4k --iodepth=1
    job read-4k-16 /dev/$disk --rw=randread --bs=4k --iodepth=16
    job write-4k-1 /dev/$disk --rw=randwrite --bs=4k --iodepth=1
    job write-4k-16 /dev/$disk --rw=randwrite --bs=4k --iodepth=16
    job read-1m /dev/$disk --rw=read --bs=1m --iodepth=4
    job write-1m /dev/$disk --rw=write --bs=1m --iodepth=4
done
