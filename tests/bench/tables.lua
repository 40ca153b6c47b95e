-- SPDX-License-Identifier: MIT
-- Tables as arrays, records and hashes; sorting.
local seed = 42
local function random(limit)
    seed = (seed * 1103515245 + 12345) % 2147483648
    return seed // 65536 % limit
end
local records, index = {}, {}
for i = 1, 40000 do
    local record = { id = i, weight = random(10000), next = records[i - 1] }
    records[i] = record
    index["key" .. record.weight] = (index["key" .. record.weight] or 0) + 1
end
table.sort(records, function(a, b)
    if a.weight ~= b.weight then return a.weight < b.weight end
    return a.id < b.id
end)
local sum = 0
for i, record in ipairs(records) do sum = (sum * 31 + record.id * i) % 1000000007 end
local keys = 0
for _, n in pairs(index) do keys = keys + n * n end
print(sum, keys)
