"""OpenAI's Python SDK, unmodified: models, chat whole and streamed, embeddings, errors; paid by vouchers that an Auth of its HTTP client signs."""
import base64
import json
import sys

import httpx2 as httpx
import openai
from eth_account import Account
from eth_account.messages import encode_typed_data
from openai import OpenAI

setup = json.load(sys.stdin)
DOMAIN = [{"name": "name", "type": "string"}, {"name": "version", "type": "string"},
          {"name": "chainId", "type": "uint256"}, {"name": "verifyingContract", "type": "address"}]


class Vouchers(httpx.Auth):
    """Asks once, signs what the 402 wants, asks again."""

    def __init__(self, key, budget):
        self.account = Account.from_key(key)
        self.budget = budget

    def auth_flow(self, request):
        request.headers["x-openledger-payer"] = self.account.address
        response = yield request
        if response.status_code != 402:
            return
        response.read()
        accepts = response.json()["error"]["payment"]["accepts"]
        terms = next(way for way in accepts if way["scheme"] == "voucher")
        self.budget -= int(terms["amount"])
        assert self.budget >= 0, "over the budget"
        data = terms["typedData"]
        message = {**data["message"], "cumulative": int(data["message"]["cumulative"])}
        signed = self.account.sign_message(encode_typed_data(full_message={
            **data, "message": message, "types": {"EIP712Domain": DOMAIN, **data["types"]}}))
        payment = {**data["message"], "signature": "0x" + signed.signature.hex().removeprefix("0x")}
        request.headers["x-openledger-payment"] = base64.b64encode(json.dumps(payment).encode()).decode()
        yield request


# A caller that says it comes from elsewhere has no free quota.
client = OpenAI(base_url=setup["url"] + "/v1", api_key="none", max_retries=0,
                default_headers={"x-forwarded-for": "203.0.113.9"},
                http_client=httpx.Client(auth=Vouchers(setup["payerKey"], 10**18), timeout=120))
bare = OpenAI(base_url=setup["url"] + "/v1", api_key="none", max_retries=0)
name = setup["question"]["model"]
model = client.models.retrieve(name)
assert model.parent and model.root.startswith("0x") and int(model.price["output"]) > 0

chat = [{"role": "user", "content": "What of the navy?"}]
answer = client.chat.completions.create(model=name, messages=chat, max_tokens=6)
receipt = answer.openledger["receipt"]
price = model.price
assert int(receipt["fee"]) == (int(price["input"]) * answer.usage.prompt_tokens
                               + int(price["output"]) * answer.usage.completion_tokens), receipt
assert receipt["payer"] == Account.from_key(setup["payerKey"]).address.lower()

text, last = "", None
for event in client.chat.completions.create(model=name, messages=chat, max_tokens=6, stream=True):
    text += event.choices[0].delta.content or ""
    last = event
assert text == answer.choices[0].message.content, (text, answer.choices[0].message.content)
assert last.openledger["receipt"]["fee"] == receipt["fee"]

node = httpx.post(setup["url"], json={
    "jsonrpc": "2.0", "id": 1, "method": "openledger_nodeInfo", "params": []}).json()["result"]
base = node["baseModel"]["name"]
vectors = bare.embeddings.create(model=base, input=["The navy", "The navy"]).data
assert vectors[0].embedding == vectors[1].embedding and len(vectors[0].embedding) > 8

free = bare.completions.create(model=name, prompt="The navy", max_tokens=4) if setup["sponsored"] else None
for fields, kind, code in [
    ({"model": "nobody"}, openai.NotFoundError, "model_not_found"),
    ({"max_tokens": 0}, openai.BadRequestError, "invalid_value"),
    ({"extra_headers": {"x-openledger-payment": "???"}}, openai.BadRequestError, "payment"),
]:
    try:
        bare.completions.create(**{"model": name, "prompt": "Hi", "max_tokens": 4, **fields})
        raise AssertionError(f"{fields} was not refused")
    except kind as error:
        assert error.code == code, error.code
print(f"asked {name} twice for {receipt['fee']} wei each, paid by vouchers; {len(vectors[0].embedding)} dimensions")
