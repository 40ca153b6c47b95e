-- SPDX-License-Identifier: MIT
-- Strings: building, finding, replacing, formatting.
local words = {}
for i = 1, 80000 do
    words[i] = string.format("%s-%d", string.rep(string.char(97 + i % 26), i % 5 + 1), i * 7919 % 10007)
end
local text = table.concat(words, " ")
local count = 0
for word in text:gmatch("%a+%-%d+") do count = count + #word end
local changed, n = text:gsub("(%a)%-(%d)", "%2+%1")
local sum = 0
for i = 1, #changed, 3 do sum = (sum * 33 + changed:byte(i)) % 4294967296 end
print(count, n, sum, text:find("z-9999", 1, true))
