# SPDX-License-Identifier: MIT
# Hashes, arrays and sorting.
my ($seed, %count, %list) = (7);
for my $i (1 .. 120000) {
    $seed = ($seed * 1103515245 + 12345) % 2147483648;
    my $key = 'k' . ($seed >> 12) % 9000;
    $count{$key}++;
    push @{ $list{$key} }, $i if $i % 3 == 0;
}
my $sum = 0;
for my $key (sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count) {
    $sum = ($sum * 31 + $count{$key} + @{ $list{$key} || [] }) % 1000000007;
}
print scalar(keys %count), " $sum\n";
