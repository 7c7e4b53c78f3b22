"""mlcroissant, rdflib and prov, unmodified: a Datanet described and read, an answer's provenance as a PROV document."""
import json
import sys
import urllib.request

import mlcroissant
import prov.model
import rdflib
from rdflib.namespace import PROV, RDF

setup = json.load(sys.stdin)
url = setup["url"]


def rpc(method, *params):
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    headers = {"content-type": "application/json"}
    answer = json.load(urllib.request.urlopen(urllib.request.Request(url, body, headers)))
    assert "result" in answer, answer
    return answer["result"]


def described(name):
    dataset = mlcroissant.Dataset(url + f"/api/datasets/{name}/croissant")
    issues = dataset.metadata.ctx.issues
    assert not issues.errors and not issues.warnings, issues.report()
    assert str(dataset.metadata.ctx.conforms_to.value).endswith("croissant/1.1"), dataset.metadata.ctx
    rows = list(dataset.records("rows"))
    assert len(rows) > 0 and all(row["rows/text"] for row in rows), rows[:1]
    sets = [one.id for one in dataset.metadata.record_sets if one.id != "rows"]
    media = [(one, record) for one in sets for record in dataset.records(one)]
    for one, record in media[:8]:
        with urllib.request.urlopen(record[one + "/contentUrl"]) as answer:
            assert answer.headers["content-type"] == record[one + "/encodingFormat"], record
            assert len(answer.read()) == record[one + "/contentSize"], record
    return len(rows), len(media)


listed = json.load(urllib.request.urlopen(url + "/api/datasets"))
rows, media = (sum(counts) for counts in zip(*[described(one["id"]) for one in listed]))

receipt = rpc("openledger_listReceipts", 1)[0]
document = rpc("openledger_exportProvenance", receipt["receiptHash"])
graph = rdflib.Graph().parse(data=json.dumps(document), format="json-ld")
kinds = {kind: len(list(graph.subjects(RDF.type, kind))) for kind in (PROV.Activity, PROV.Entity, PROV.Agent)}
assert all(kinds.values()), kinds
turtle = graph.serialize(format="turtle")
records = prov.model.ProvDocument.deserialize(content=turtle, format="rdf", rdf_format="turtle").get_records()
paid = sum(int(wei) for wei in graph.objects(None, rdflib.URIRef("urn:openledger:ns:wei")) if wei)
shares = sum(int(share["amount"]) for share in receipt["contributors"])
assert paid == int(receipt["fee"]) + shares, (paid, receipt["fee"], shares)
print(f"mlcroissant read {rows} rows and {media} pictures and sounds without complaint; prov read {len(list(records))} records of a receipt, its fee to the wei")
