-- SPDX-License-Identifier: MIT
-- Calls, closures and recursion.
local function fib(n)
    if n < 2 then return n end
    return fib(n - 1) + fib(n - 2)
end
local function counter()
    local n = 0
    return function(step) n = n + step return n end
end
local count = counter()
for i = 1, 400000 do count(i % 7) end
print(fib(30), count(0))
