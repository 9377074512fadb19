// Three calls by a client whose types openapi-typescript made. Arguments: the base URL and a token.
import createClient from "openapi-fetch";
import type { components, paths } from "./document.js";

declare const process: { argv: string[] };

const [baseUrl, token] = process.argv.slice(2);
if (baseUrl === undefined || token === undefined) throw new Error("a URL and a token are needed");
const client = createClient<paths>({ baseUrl, headers: { authorization: `Bearer ${token}` } });
const path = { list: "from TypeScript" };

function got<T>(answer: { data?: T; error?: unknown }): T {
  if (answer.data === undefined) throw new Error(JSON.stringify(answer.error));
  return answer.data;
}

const node = got(await client.GET("/v1/node"));
const body: components["schemas"]["NewEntry"] = { title: "typed", priority: "high", tags: ["generated"] };
const added = got(await client.POST("/v1/lists/{list}/entries", { params: { path }, body }));
if (!("id" in added)) throw new Error("one entry was added");
const params = { path, query: { state: "open" as const, tag: ["generated"] } };
const entries = got(await client.GET("/v1/lists/{list}/entries", { params }));
const priority: "high" | "medium" | "low" | null | undefined = entries.items[0]?.priority;
console.log(JSON.stringify({ node: node.name, id: added.id, ids: entries.items.map((entry) => entry.id), priority }));
