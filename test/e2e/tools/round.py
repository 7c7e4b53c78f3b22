"""A full round with web3.py: deploy, call, send, wait, logs, fees. Prints one JSON object; anything wrong raises."""

import json
import sys

from eth_account import Account
from web3 import Web3

setup = json.load(sys.stdin)
w3 = Web3(Web3.HTTPProvider(setup["url"]))
assert w3.is_connected(), "no connection"
assert w3.eth.chain_id == setup["chainId"], w3.eth.chain_id
account = Account.from_key(setup["privateKey"])
head = w3.eth.get_block("latest")
assert head["number"] == w3.eth.get_block(head["hash"])["number"]
assert w3.eth.get_block("finalized")["number"] <= w3.eth.get_block("safe")["number"] <= w3.eth.block_number
assert w3.eth.get_balance(account.address) > 0


def send(fields):
    """Filled in as web3.py does it by default: EIP-1559 fees, an estimate, the pending nonce."""
    fields = {"from": account.address, "chainId": w3.eth.chain_id, **fields}
    fields["nonce"] = w3.eth.get_transaction_count(account.address, "pending")
    fields.setdefault("gas", w3.eth.estimate_gas(fields))
    if "gasPrice" not in fields and "maxFeePerGas" not in fields:
        tip = w3.eth.max_priority_fee
        fields["maxPriorityFeePerGas"] = tip
        fields["maxFeePerGas"] = 2 * w3.eth.get_block("latest")["baseFeePerGas"] + tip
    raw = account.sign_transaction(fields).raw_transaction
    receipt = w3.eth.wait_for_transaction_receipt(w3.eth.send_raw_transaction(raw), timeout=60)
    assert receipt["status"] == 1, receipt
    return receipt


Token = w3.eth.contract(abi=setup["abi"], bytecode=setup["bytecode"])
deployed = send({"data": Token.constructor(account.address).data_in_transaction})
token = w3.eth.contract(address=deployed["contractAddress"], abi=setup["abi"])
assert token.functions.totalSupply().call() == 10**27
to = Web3.to_checksum_address("0x" + "42" * 20)
moved = send({"to": token.address, "data": token.encode_abi("transfer", args=[to, 5])})
assert token.functions.balanceOf(to).call() == 5
assert token.functions.balanceOf(to).call(block_identifier=moved["blockNumber"] - 1) == 0
logs = token.events.Transfer.get_logs(from_block=deployed["blockNumber"])
assert [log["args"]["value"] for log in logs] == [10**27, 5], logs
legacy = send({"to": to, "value": 7, "gas": 21000, "gasPrice": 2 * w3.eth.gas_price})
assert w3.eth.get_balance(to) >= 7
listed = send({"to": to, "value": 1, "gas": 30000, "accessList": [{"address": to, "storageKeys": ["0x" + "00" * 32]}]})
history = w3.eth.fee_history(4, "latest", [25, 75])
assert len(history["baseFeePerGas"]) == 5
try:
    token.functions.transfer(to, 10**28).call({"from": account.address})
    raise AssertionError("a transfer beyond the balance did not revert")
except Exception as error:
    assert "revert" in str(error).lower() or "0xe450d38c" in str(error), error
print(json.dumps({"contract": token.address, "gasUsed": [r["gasUsed"] for r in (deployed, moved, legacy, listed)]}))
