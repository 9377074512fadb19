// Opens the document of a list as JavaScript does, edits it, and gives it back:
// node edit.mjs SOCKET LIST

import * as Automerge from "@automerge/automerge";
import http from "node:http";

const [socketPath, list] = process.argv.slice(2);
const path = `/v1/lists/${encodeURIComponent(list)}/document`;

function call(method, body) {
  return new Promise((resolve, reject) => {
    const headers = { host: "muster", "content-type": "application/octet-stream" };
    const request = http.request({ socketPath, path, method, headers }, (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("end", () => resolve({ status: response.statusCode, body: Buffer.concat(parts) }));
    });
    request.on("error", reject);
    request.end(body);
  });
}

const got = await call("GET");
let doc = Automerge.load(new Uint8Array(got.body));
// What nodes write are scalars, which are no texts to be edited in place: ImmutableString.
const titles = Object.values(doc.entries).map((entry) => String(entry.title)).sort();
const id = (title) => Object.keys(doc.entries).find((key) => String(doc.entries[key].title) === title);

doc = Automerge.change(doc, { message: "eve@nowhere" }, (draft) => {
  const milk = draft.entries[id("milk")];
  milk.title = "oat milk";
  milk["tag:food"] = 0;
  // An odd number says that it is deleted.
  draft.entries[id("bread")].life = 1;
  draft.entries["01ARZ3NDEKTSV4RRFFQ69G5FAV"] = { title: "salt", life: 0, notes: "a pinch" };
});
const first = await call("PUT", Buffer.from(Automerge.save(doc)));
// Not fetched again: what was done before is not done twice.
doc = Automerge.change(doc, (draft) => {
  Automerge.splice(draft, ["entries", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "notes"], 2, 0, "big ");
});
const second = await call("PUT", Buffer.from(Automerge.save(doc)));
const again = await call("PUT", Buffer.from(Automerge.save(doc)));
// What another program has begun is no list.
const foreign = await call("PUT", Buffer.from(Automerge.save(Automerge.from({ entries: {} }))));
const broken = Automerge.change(doc, (draft) => {
  draft.entries["01ARZ3NDEKTSV4RRFFQ69G5FAV"].title = "two\nlines";
});
const refused = await call("PUT", Buffer.from(Automerge.save(broken)));
const json = ({ status, body }) => ({ status, ...JSON.parse(body) });
const merged = [first, second, again].map(json);
console.log(JSON.stringify({ titles, merged, refused: [foreign, refused].map(json) }));
