// Node's two clients: fetch, and http.request over a kept connection, whole and in chunks.

import http from "node:http";

const address = process.argv[2] + "/predict";
const body = JSON.stringify({
  gender: "Male", age: 67, hypertension: 0, heart_disease: 1, avg_glucose_level: 228.69,
  bmi: 36.6, smoking_status: "formerly smoked", name: "Zoë Example", country: "France",
  province: "Bretagne",
});
const headers = { "Content-Type": "application/json" };

for (let turn = 0; turn < 2; turn++) {
  const answer = await fetch(address, { method: "POST", headers, body });
  await answer.text();
  console.log(answer.status);
}

const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const lengths = [
  { "Content-Length": Buffer.byteLength(body) },
  {},
  { "Content-Length": Buffer.byteLength(body), Expect: "100-continue" },
];
for (const length of lengths) {
  const status = await new Promise((resolve, reject) => {
    const request = http.request(address, {
      method: "POST", agent, headers: { ...headers, ...length },
    });
    request.on("error", reject);
    request.on("response", (answer) => {
      answer.resume();
      answer.on("end", () => resolve(answer.statusCode));
    });
    request.write(body.slice(0, 40));
    setTimeout(() => request.end(body.slice(40)), 20);
  });
  console.log(status);
}
agent.destroy();
