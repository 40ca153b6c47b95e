-- SPDX-License-Identifier: MIT
-- Floating point: bodies in orbit and a Mandelbrot set.
local bodies = {}
for i = 1, 5 do
    bodies[i] = { x = i * 1.5, y = i % 3 - 1.0, z = 0.1 * i, vx = 0.0, vy = 0.3 / i, vz = 0.01, m = 1.0 / i }
end
for _ = 1, 24000 do
    for i = 1, #bodies do
        local a = bodies[i]
        for j = i + 1, #bodies do
            local b = bodies[j]
            local dx, dy, dz = a.x - b.x, a.y - b.y, a.z - b.z
            local d2 = dx * dx + dy * dy + dz * dz + 0.01
            local f = 0.001 / (d2 * math.sqrt(d2))
            a.vx, a.vy, a.vz = a.vx - dx * b.m * f, a.vy - dy * b.m * f, a.vz - dz * b.m * f
            b.vx, b.vy, b.vz = b.vx + dx * a.m * f, b.vy + dy * a.m * f, b.vz + dz * a.m * f
        end
    end
    for _, b in ipairs(bodies) do
        b.x, b.y, b.z = b.x + 0.001 * b.vx, b.y + 0.001 * b.vy, b.z + 0.001 * b.vz
    end
end
local inside = 0
for row = 1, 120 do
    for column = 1, 100 do
        local cr, ci, zr, zi, n = column / 40 - 2, row / 60 - 1, 0.0, 0.0, 0
        while n < 60 and zr * zr + zi * zi < 4 do
            zr, zi, n = zr * zr - zi * zi + cr, 2 * zr * zi + ci, n + 1
        end
        inside = inside + n
    end
end
print(string.format("%.12f %.12f %d", bodies[1].x, bodies[5].vz, inside))
