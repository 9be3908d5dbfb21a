// Reads all pages of orders with a client that is not ours, and prints how many orders and lines it got:
//   node walmart_orders.mjs NODE_MODULES ADDRESS START END < token
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { randomUUID } from "node:crypto";

const [modules, address, start, end] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const { OrdersApi } = require("@whitebox-co/walmart-marketplace-api");
const token = readFileSync(0, "utf8").trim();
const api = new OrdersApi(undefined, address);
console.error(Object.getOwnPropertyNames(Object.getPrototypeOf(api)).join(" "));
