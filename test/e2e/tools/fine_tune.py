"""OpenAI's Python SDK, unmodified: uploads a file, fine-tunes on it, follows events, reads checkpoints, asks the result."""
import io
import json
import sys
import time

from openai import OpenAI

setup = json.load(sys.stdin)
client = OpenAI(base_url=setup["url"] + "/v1", api_key="none", max_retries=0)

rows = [
    {"messages": [{"role": "user", "content": f"What of canal {i}?"},
                  {"role": "assistant", "content": f"Canal {i} was opened in {1800 + i}."}]}
    for i in range(24)
]
text = "\n".join(json.dumps(row) for row in rows).encode()
file = client.files.create(file=("canals.jsonl", io.BytesIO(text)), purpose="fine-tune")
assert client.files.retrieve(file.id).bytes == len(text)
assert client.files.content(file.id).read() == text

node = client._client.post(setup["url"], json={
    "jsonrpc": "2.0", "id": 1, "method": "openledger_nodeInfo", "params": []}).json()["result"]
job = client.fine_tuning.jobs.create(
    model=node["baseModel"]["name"],
    training_file=file.id,
    suffix="canals",
    method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 1}}},
)
assert job.status == "queued", job.status
deadline = time.monotonic() + 240
while job.status not in ("succeeded", "failed", "cancelled"):
    assert time.monotonic() < deadline, job
    time.sleep(1)
    job = client.fine_tuning.jobs.retrieve(job.id)
assert job.status == "succeeded", job.error
events = [event.message for event in client.fine_tuning.jobs.list_events(job.id, limit=3)]
assert any("training loss" in message for message in events), events
checkpoints = client.fine_tuning.jobs.checkpoints.list(job.id)
assert checkpoints.data[0].metrics.train_loss > 0
assert job.id in [one.id for one in client.fine_tuning.jobs.list()]
assert client.files.delete(file.id).deleted
assert job.fine_tuned_model in [model.id for model in client.models.list()]
print(f"fine-tuned {job.fine_tuned_model} on {job.trained_tokens} tokens, {len(events)} events")
