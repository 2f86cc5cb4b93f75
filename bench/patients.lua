-- Varied patients for wrk: a thousand requests, formatted once and sent in turn. Their values are drawn
-- at random, so that most are unlike those whom the model has seen; STROKE_BENCH_PATIENTS names a file
-- of other bodies, one a line.
local genders = {"Male", "Female"}
local smoking = {"never smoked", "formerly smoked", "smokes", "Unknown"}
local places = {{"United States", "California"}, {"Peru", "Lima"}, {"Japan", "東京都"}, {"France", "Bretagne"}}
local requests = {}
local turn = 0

function init(args)
  math.randomseed(7)
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  if os.getenv("STROKE_BENCH_KEY") then
    wrk.headers["Authorization"] = "Bearer " .. os.getenv("STROKE_BENCH_KEY")
  end
  local file = os.getenv("STROKE_BENCH_PATIENTS")
  if file then
    for body in io.lines(file) do
      requests[#requests + 1] = wrk.format(nil, "/predict", nil, body)
    end
    return
  end
  for n = 1, 1000 do
    local place = places[math.random(#places)]
    requests[n] = wrk.format(nil, "/predict", nil, string.format(
      '{"gender":"%s","age":%d,"hypertension":%d,"heart_disease":%d,"avg_glucose_level":%.2f,' ..
      '"bmi":%.1f,"smoking_status":"%s","name":"Patient %d","country":"%s","province":"%s"}',
      genders[math.random(#genders)], math.random(1, 90), math.random(0, 1), math.random(0, 1),
      math.random(6000, 25000) / 100, math.random(150, 450) / 10, smoking[math.random(#smoking)],
      n, place[1], place[2]))
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency, _)
  local failed = summary.errors
  io.write(string.format(
    "RESULT %d %d %.3f %.3f %d %d\n", summary.requests, summary.duration,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, failed.status,
    failed.connect + failed.read + failed.write + failed.timeout))
end
