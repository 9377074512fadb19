"""Three calls by the client that openapi-python-client made. Arguments: the base URL and a token."""

import json
import sys

from muster_client import AuthenticatedClient
from muster_client.api.node_and_cluster import node
from muster_client.api.to_do_lists import add, entries
from muster_client.models import EntryPriority, EntryStateFilter, NewEntry, TodoEntry

client = AuthenticatedClient(base_url=sys.argv[1], token=sys.argv[2])
here = node.sync(client=client)
body = NewEntry(title="typed", priority=EntryPriority.HIGH, tags=["generated"])
added = add.sync("from Python", client=client, body=body)
assert isinstance(added, TodoEntry), added
page = entries.sync("from Python", client=client, state=EntryStateFilter.OPEN, tag=["generated"])
print(json.dumps({
    "node": here.name,
    "id": added.id,
    "ids": [entry.id for entry in page.items],
    "priority": page.items[0].priority.value,
}))
