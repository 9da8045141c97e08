// Quorate over `node:net`: finds a replica set, inserts, finds, and goes on inserting while its primary steps down.
//
//   cargo run -p quorate-wasm-build
//   node wasm/examples/node.mjs "mongodb://localhost:27017/?replicaSet=rs0"
//
// The program makes the primary step down itself; with `wait` as second argument it waits for somebody else to.
import { webcrypto } from "node:crypto";
import { once } from "node:events";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Client, decode, encode } from "../pkg/quorate.js";

const [uri, who = "self"] = process.argv.slice(2);
if (!uri) throw new Error("usage: node node.mjs URI [wait]");

globalThis.crypto ??= webcrypto; // Node 18 has it, but not there.

const sockets = {
  async connect(host, port) {
    const socket = net.connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: 120_000 });
    await once(socket, "connect");
    socket.on("error", () => {}); // Reads and writes tell.
    const chunks = socket[Symbol.asyncIterator]();
    return {
      read: async () => (await chunks.next()).value,
      write: (bytes) =>
        new Promise((done, fail) => socket.write(bytes, (error) => (error ? fail(error) : done()))),
      close: () => void socket.destroy(),
    };
  },
};

const bson = (value) => encode(JSON.stringify(value));
const json = (bytes) => JSON.parse(decode(bytes));

let primary; // As the events tell it.
const client = await Client.connect(uri, sockets, (event) => {
  if (event.topology?.primary) primary = event.topology.primary;
});
await client.runCommand("admin", bson({ ping: 1 }));
while (client.topology().servers.some((server) => server.type === "Unknown")) await sleep(20);
const { type, setName, servers } = client.topology();
console.log(`discovered ${type} ${setName}: ${servers.map((s) => `${s.address} ${s.type}`).join(", ")}`);

const run = `${Date.now()}-${process.pid}`;
const insert = (n) => client.insertOne("shop", "orders", bson({ run, n }));
for (let n = 0; n < 150; n++) await insert(n);
console.log("inserted 150");

async function* find(filter, options) {
  const cursor = await client.find("shop", "orders", bson(filter), options && bson(options));
  for (let document; (document = await cursor.next()); ) yield json(document);
  cursor.free();
}
const found = [];
for await (const order of find({ run }, { sort: { n: 1 }, batchSize: 40 })) found.push(order);
console.log(`found ${found.length}, the last with n=${found.at(-1).n}`);

const old = primary;
console.log(`inserting while ${old} steps down`);
if (who === "self") {
  const command = bson({ replSetStepDown: 20, secondaryCatchUpPeriodSecs: 10, force: true });
  client.runCommand("admin", command).catch((error) => console.log(`replSetStepDown: ${error.message}`));
}
let n = 150;
let longest = 0;
for (let after = 0; after < 20; n++) {
  const start = performance.now();
  await insert(n); // Retried by the driver; a failure ends the program.
  longest = Math.max(longest, performance.now() - start);
  if (primary !== old) after++;
  await sleep(10);
}
let total = 0;
for await (const _ of find({ run })) total++;
console.log(`survived: primary now ${primary}, ${n} inserted, ${total} found, longest insert ${Math.round(longest)} ms`);
await client.close();
if (total !== n) throw new Error(`${n} inserted, ${total} found`);
