"""Patterns and examples of ids in the contract.

The routes take any text as an id: one that does not exist is a 404, whatever its form. So a field's name, and not its
validation, says what it names.
"""

import re
from typing import Any

_BODY = "[a-z2-7]{26}"

_EXAMPLES = {
    "acc": "acc_k5qd4ahyfpuxzmo2c3r7wn6tbe",
    "act": "act_mfrggzdfmztwq2lknnwg23tpoa",
    "cas": "cas_fcunsiksm3ppucbrdqutxaufvi",
    "rls": "rls_iuwbh4hkzdez5j5ag3ea6cau2u",
    "aev": "aev_ifbegrcfizduqskkjnge2tspkb",
    "cus": "cus_gezdgnbvgy3tqojqgezdgnbvgy",
    "doc": "doc_mnzgk3tfnzqwo2lomfzwi3dfna",
    "dsp": "dsp_fcunsiksm3ppucbrdqutxaufvi",
    "trq": "trq_mrxw4ylufzqw4zbomnzgkzleme",
    "pst": "pst_iuwbh4hkzdez5j5ag3ea6cau2u_1_debit",
    "ntf": "ntf_h24j7dga5e3b2ci6f7j2g4h5ab",
    "key": "key_nbswy3dpeb3w64tmmqqho33snq",
    "prb": "prb_nbswy3dpeb3w64tmmqqho33snq",
    "bat": "bat_gezdgnbvgy3tqojqgezdgnbvgy",
    "rbd": "rbd_mjqwy3lboruw63tmmv2g63rsge",
    "ses": "ses_jbswy3dpeblw64tmmqqho33snq",
    "dlt": "dlt_orqwszlsfvwgk5dumvzc2nbsge",
    "whe": "whe_nfxgk5dumvzc2nbsge3dgobrha",
    "sto": "sto_onxw2zjanzqw2zlsebuxg2dbny",
    "trf": "trf_iuwbh4hkzdez5j5ag3ea6cau2u",
}

# Two accounts of one transfer are two accounts in examples too.
_OTHER_ACCOUNT = "acc_n2b7wxm4cq5zkf3rt6dvhy2ope"

# What a field names, by the end of its own name.
_BY_NAME = {
    "account_id": "acc",
    "customer_id": "cus",
    "owner_id": "cus",
    "actor_id": "cus",
    "payer_id": "cus",
    "payee_id": "cus",
    "decided_by": "cus",
    "closed_by": "cus",
    "changed_by": "cus",
    "requested_by": "cus",
    "ended_by": "cus",
    "added_by": "cus",
    "screened_by": "rls",
    "case_id": "cas",
    "rule_set_id": "rls",
    "dispute_id": "dsp",
    "document_id": "doc",
    "session_id": "ses",
    "api_key_id": "key",
    "transfer_id": "trf",
    "request_id": "trq",
    "batch_id": "bat",
    "rebuild_id": "rbd",
    "role_request_id": "act",
    "letter_id": "dlt",
    "notification_id": "ntf",
    "endpoint_id": "whe",
    "order_id": "sto",
}

# What `id` names, by the beginning of its schema's name.
_BY_SCHEMA = {
    "Account": "acc",
    "Action": "act",
    "AuthEvent": "aev",
    "Case": "cas",
    "AnyTransfer": "trf",
    "Customer": "cus",
    "DeadLetter": "dlt",
    "Endpoint": "whe",
    "EndpointSecret": "whe",
    "MarkedAccount": "acc",
    "Dispute": "dsp",
    "ListedCustomer": "cus",
    "Document": "doc",
    "Posting": "pst",
    "ProjectionRebuild": "prb",
    "Batch": "bat",
    "BatchFile": "bat",
    "Rebuild": "rbd",
    "RoleRequest": "act",
    "Notification": "ntf",
    "Session": "ses",
    "StandingOrder": "sto",
    "ApiKey": "key",
    "TierRequest": "trq",
    "Transfer": "trf",
}

# Accounts of a transfer may also be the system's.
_OR_SYSTEM = frozenset({"source_account_id", "destination_account_id", "debit_account_id", "credit_account_id"})


def describe_ids(document: dict[str, Any]) -> None:
    """Add a pattern and an example to each id among the document's parameters and properties."""
    for path in document["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", ()):
                _describe(parameter["schema"], _BY_NAME.get(parameter["name"]))
    for name, schema in document["components"]["schemas"].items():
        for field, described in schema.get("properties", {}).items():
            kind = _kind_of_id(name) if field == "id" else _kind_of(field)
            or_system = field in _OR_SYSTEM and not name.endswith("In")
            if field == "destination_account_id":
                described.setdefault("examples", [_OTHER_ACCOUNT])
            if field == "destination_account_id" and name == "TransferIn":
                continue  # or its number: the validation says both
            _describe(described, kind, or_system=or_system)


def _kind_of_id(schema: str) -> str | None:
    return next((kind for prefix, kind in _BY_SCHEMA.items() if schema.startswith(prefix)), None)


def _kind_of(field: str) -> str | None:
    return next((kind for name, kind in _BY_NAME.items() if re.search(rf"(^|_){name}$", field)), None)


def _describe(schema: dict[str, Any], kind: str | None, *, or_system: bool = False) -> None:
    if kind is None:
        return
    for one in (one for one in (schema, *schema.get("anyOf", ())) if one.get("type") == "string"):
        pattern = f"pst_{_BODY}_[1-3]_(debit|credit|refund)" if kind == "pst" else f"{kind}_{_BODY}"
        one["pattern"] = f"^({pattern}|world|clearing)$" if or_system else f"^{pattern}$"
        # Of a field that may be null, null stays the example, unless the field has another one.
        if one is schema:
            schema.setdefault("examples", [_EXAMPLES[kind]])
