// Reads all pages of Walmart's orders with a client that is not ours, and prints what it found as JSON:
//   node walmart_orders.mjs NODE_MODULES ADDRESS START END < access-token
import { readFileSync } from "node:fs";
import { randomUUID } from "node:crypto";
import { createRequire } from "node:module";

const [modules, address, start, end] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const { OrdersApi } = require("@whitebox-co/walmart-marketplace-api");
const { getAllRecursively } = require("@whitebox-co/walmart-marketplace-api/lib/src/util/requestHelpers");

const api = new OrdersApi(undefined, address);
const headers = {
    authorization: "Basic none",
    wMSECACCESSTOKEN: readFileSync(0, "utf8").trim(),
    wMQOSCORRELATIONID: randomUUID(),
    wMSVCNAME: "Walmart Marketplace",
};
const found = {};
for (const shipNodeType of ["SellerFulfilled", "WFSFulfilled", "3PLFulfilled"]) {
    const asked = { ...headers, shipNodeType, limit: "50", lastModifiedStartDate: start, lastModifiedEndDate: end };
    for (const order of await getAllRecursively(api, "getAllOrders", asked)) {
        found[order.purchaseOrderId] = order.orderLines.orderLine.length;
    }
}
console.log(JSON.stringify(found));
