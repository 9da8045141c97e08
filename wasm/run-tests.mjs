// Runs a test program built for wasm32-wasip1 in Node, as cargo's runner: the program's path, then its arguments.
//
//   CARGO_TARGET_WASM32_WASIP1_RUNNER="node --no-warnings $PWD/wasm/run-tests.mjs" \
//     cargo test -p quorate-core --target wasm32-wasip1
import { readFile } from "node:fs/promises";
import { WASI } from "node:wasi";

const [program, ...args] = process.argv.slice(2);
const wasi = new WASI({
  version: "preview1",
  args: [program, ...args],
  env: process.env,
  preopens: { "/": "/" },
  returnOnExit: true,
});
const module = await WebAssembly.compile(await readFile(program));
const instance = await WebAssembly.instantiate(module, wasi.getImportObject());
// A test that fails traps: there is no unwinding here. Its message is out by then.
process.exitCode = wasi.start(instance);
