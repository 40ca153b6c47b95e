# SPDX-License-Identifier: MIT
# Regular expressions over generated log lines.
my ($seed, %seen, $bytes) = (11);
for my $i (1 .. 30000) {
    $seed = ($seed * 1103515245 + 12345) % 2147483648;
    my $line = sprintf '10.%d.%d.7 - - [%02d/Nov/2026:10:%02d:00] "GET /page/%d?x=%x HTTP/1.1" %d %d',
        $seed % 256, ($seed >> 8) % 256, $i % 28 + 1, $i % 60, $seed % 500, $seed, 200 + $i % 3, $seed % 9000;
    if ($line =~ m{^(\d+(?:\.\d+){3}) .*?"(GET|POST) (/\S*?)(?:\?(\S*))? HTTP/[\d.]+" (\d{3}) (\d+)$}) {
        $seen{"$3 $5"}++;
        $bytes += $6;
        (my $query = $4) =~ s/([0-9a-f])([a-f])/$2$1/g;
        $seen{ substr $query, 0, 5 }++ if $query =~ /(?:ab|cd|ef){2}/;
    }
}
print scalar(keys %seen), " $bytes\n";
