"""Holds every response that botocore gets against botocore's own model of it.

botocore reads what it knows and passes over the rest in silence: a misspelt member, a number that
is no number where nobody looks, a required member that is missing. This looks at the bytes before
botocore parses them, and finds everything that botocore's model does not have.
"""

import base64
import binascii
import collections
import email.utils
import json
import logging
import re
import xml.etree.ElementTree as ElementTree

CONTENT_TYPES = {
    "ec2": ("text/xml",),
    "json": ("application/x-amz-json-1.1",),
    "query": ("text/xml",),
    "rest-json": ("application/json",),
    "rest-xml": ("application/xml", "text/xml"),
}
NUMBERS = {"integer": r"-?\d+", "long": r"-?\d+", "float": r"-?\d+(\.\d+)?([eE]-?\d+)?"}
NUMBERS["double"] = NUMBERS["float"]
ISO_8601 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)")
# Values that AWS documents and answers, and its models lack: an attached internet gateway is `available`.
BEYOND_THE_MODEL = {("AttachmentStatus", "available")}
HTTP_LOCATIONS = ("header", "headers", "statusCode", "uri", "querystring")


class WireCheck(logging.Handler):
    """Collects what is wrong with the responses of one botocore session."""

    def __init__(self):
        super().__init__(level=logging.WARNING)
        self.problems = []
        self.operations = collections.Counter()

    def attach(self, session):
        """Watches every client that `session` (boto3's) makes from now on, and botocore's warnings."""
        session.events.register("before-parse", self._before_parse)
        session.events.register("after-call", self._after_call)
        logging.getLogger("botocore").addHandler(self)
        prefer_json(session)

    def emit(self, record):
        """Takes a warning of botocore's for a problem."""
        self.problems.append(f"botocore warns: {record.getMessage()}")

    def _before_parse(self, operation_model, response_dict, **_):
        service = operation_model.service_model
        self.operations[f"{service.service_name}:{operation_model.name}"] += 1
        if response_dict["status_code"] >= 300:
            return
        found = Response(operation_model, response_dict).problems()
        self.problems.extend(f"{service.service_name}:{operation_model.name}: {each}" for each in found)

    def _after_call(self, model, parsed, **_):
        if not parsed.get("ResponseMetadata", {}).get("RequestId"):
            self.problems.append(f"{model.service_model.service_name}:{model.name}: no request id")


def prefer_json(session):
    """Makes clients speak JSON where a service has JSON and CBOR: the sandbox has the older of the two."""
    loader = session._session.get_component("data_loader")
    load = loader.load_service_model

    def load_with_json(service_name, type_name, *arguments, **named):
        model = load(service_name, type_name, *arguments, **named)
        if type_name == "service-2" and "json" in model["metadata"].get("protocols", []):
            model = {**model, "metadata": {**model["metadata"], "protocol": "json", "protocols": ["json"]}}
        return model

    loader.load_service_model = load_with_json


class Response:
    """One response and the model of its operation."""

    def __init__(self, operation_model, response_dict):
        self.operation = operation_model
        self.service = operation_model.service_model
        self.protocol = self.service.resolved_protocol
        self.headers = response_dict["headers"]
        self.body = response_dict["body"]
        self.found = []

    def problems(self):
        """Everything that the model does not have or wants otherwise."""
        shape = self.operation.output_shape
        if self.protocol.startswith("rest-") and shape is not None:
            self._headers(shape)
        if self.operation.has_streaming_output:
            return self.found
        if self.body:
            self._content_type()
        if self.protocol in ("query", "ec2", "rest-xml"):
            self._xml(shape)
        else:
            self._json(shape)
        return self.found

    def _note(self, path, what):
        self.found.append(f"{path}: {what}" if path else what)

    def _content_type(self):
        content_type = self.headers.get("content-type", "").split(";")[0]
        if content_type not in CONTENT_TYPES[self.protocol]:
            self._note("", f"content type `{content_type}`, expected {' or '.join(CONTENT_TYPES[self.protocol])}")

    def _headers(self, shape):
        for name, member in shape.members.items():
            if member.serialization.get("location") == "header":
                header = member.serialization.get("name", name)
                if header in self.headers:
                    self._scalar(member, self.headers[header], f"header {header}", default="rfc822")
                elif name in shape.required_members:
                    self._note(f"header {header}", "required and missing")

    # XML: query, EC2 query, REST-XML

    def _xml(self, shape):
        if not self.body:
            if shape is not None and any(not is_in_head(member) for member in shape.members.values()):
                if self.protocol != "rest-xml":
                    self._note("", "empty body")
            return
        try:
            root = ElementTree.fromstring(self.body)
        except ElementTree.ParseError as error:
            self._note("", f"no XML: {error}")
            return
        namespace = self.service.metadata.get("xmlNamespace")
        if namespace and not root.tag.startswith("{" + namespace.rstrip("/")):
            self._note(local(root), f"not in the namespace {namespace}")
        if self.protocol == "rest-xml":
            self._rest_xml(shape, root)
        else:
            self._query(shape, root)

    def _query(self, shape, root):
        expected = f"{self.operation.name}Response"
        if local(root) != expected:
            self._note("", f"root element `{local(root)}`, expected `{expected}`")
        if self.protocol == "ec2":
            rest = [child for child in root if local(child) != "requestId"]
            self._structure_xml(shape, rest, "")
            return
        wrapper = shape.serialization.get("resultWrapper") if shape is not None else None
        for child in root:
            if local(child) == wrapper:
                self._structure_xml(shape, list(child), "")
            elif local(child) != "ResponseMetadata":
                self._note(local(child), "unknown element beside the result")
        if wrapper and shape.members and all(local(child) != wrapper for child in root):
            self._note("", f"no `{wrapper}`")

    def _rest_xml(self, shape, root):
        if shape is None:
            self._note("", "a body where the model has none")
            return
        payload = shape.serialization.get("payload")
        if payload:
            shape = shape.members[payload]
        name = shape.serialization.get("name")
        if name and local(root) != name:
            self._note("", f"root element `{local(root)}`, expected `{name}`")
        self._shape_xml(shape, root, "")

    def _shape_xml(self, shape, node, path):
        if shape.type_name == "structure":
            self._structure_xml(shape, list(node), path, node.attrib)
        elif shape.type_name == "list":
            self._list_xml(shape, list(node), path)
        elif shape.type_name == "map":
            self._map_xml(shape, list(node), path)
        elif len(node):
            self._note(path, f"elements where the model has {shape.type_name}")
        else:
            self._scalar(shape, node.text or "", path)

    def _structure_xml(self, shape, children, path, attributes=()):
        if shape is None:
            for child in children:
                self._note(joined(path, local(child)), "not in the model")
            return
        known = {xml_name(member, name): name for name, member in shape.members.items() if not is_in_head(member)}
        groups = collections.defaultdict(list)
        for child in children:
            groups[local(child)].append(child)
        for tag, nodes in groups.items():
            if tag not in known:
                self._note(joined(path, tag), "not in the model")
                continue
            member = shape.members[known[tag]]
            place = joined(path, known[tag])
            if member.serialization.get("flattened") and member.type_name == "list":
                for index, node in enumerate(nodes):
                    self._shape_xml(member.member, node, f"{place}[{index}]")
            elif len(nodes) > 1:
                self._note(place, f"given {len(nodes)} times")
            else:
                self._shape_xml(member, nodes[0], place)
        for name in shape.required_members:
            member = shape.members[name]
            is_there = xml_name(member, name) in groups or member.serialization.get("xmlAttribute")
            if not is_there and not is_in_head(member) and not member.serialization.get("flattened"):
                self._note(joined(path, name), "required and missing")
        if attributes and not any(member.serialization.get("xmlAttribute") for member in shape.members.values()):
            self._note(path, f"attributes {', '.join(attributes)}")

    def _list_xml(self, shape, nodes, path):
        expected = shape.member.serialization.get("name", "member")
        for index, node in enumerate(nodes):
            if local(node) != expected:
                self._note(f"{path}[{index}]", f"element `{local(node)}`, expected `{expected}`")
            self._shape_xml(shape.member, node, f"{path}[{index}]")

    def _map_xml(self, shape, nodes, path):
        names = {
            shape.key.serialization.get("name", "key"): shape.key,
            shape.value.serialization.get("name", "value"): shape.value,
        }
        for entry in nodes:
            for part in entry:
                if local(part) not in names:
                    self._note(joined(path, local(part)), "not in the model")
                else:
                    self._shape_xml(names[local(part)], part, joined(path, local(part)))

    # JSON: JSON 1.1, REST-JSON

    def _json(self, shape):
        if not self.body:
            return
        payload = shape.serialization.get("payload") if shape is not None else None
        if payload and shape.members[payload].type_name in ("blob", "string"):
            return
        try:
            value = json.loads(self.body)
        except ValueError as error:
            self._note("", f"no JSON: {error}")
            return
        if shape is None:
            if value != {}:
                self._note("", "a body where the model has none")
        else:
            self._shape_json(shape.members[payload] if payload else shape, value, "")

    def _shape_json(self, shape, value, path):
        expected = {"structure": dict, "map": dict, "list": list}.get(shape.type_name)
        if value is None:
            self._note(path, "null")
        elif expected is None:
            self._scalar_json(shape, value, path)
        elif not isinstance(value, expected):
            self._note(path, f"`{value}` where the model has {shape.type_name}")
        elif shape.type_name == "list":
            for index, each in enumerate(value):
                self._shape_json(shape.member, each, f"{path}[{index}]")
        elif shape.type_name == "map":
            for key, each in value.items():
                self._scalar(shape.key, key, joined(path, key))
                self._shape_json(shape.value, each, joined(path, key))
        elif not getattr(shape, "is_document_type", False):
            self._structure_json(shape, value, path)

    def _structure_json(self, shape, value, path):
        members = {name: member for name, member in shape.members.items() if not is_in_head(member)}
        known = {member.serialization.get("name", name): name for name, member in members.items()}
        for key, each in value.items():
            if key in known:
                self._shape_json(members[known[key]], each, joined(path, known[key]))
            else:
                self._note(joined(path, key), "not in the model")
        for key, name in known.items():
            if name in shape.required_members and key not in value:
                self._note(joined(path, name), "required and missing")

    def _scalar_json(self, shape, value, path):
        kinds = {
            "boolean": bool, "integer": int, "long": int, "float": (int, float), "double": (int, float),
            "string": str, "character": str, "blob": str,
        }
        if shape.type_name == "timestamp":
            wants_text = shape.serialization.get("timestampFormat") in ("iso8601", "rfc822")
            kind = str if wants_text else (int, float)
        else:
            kind = kinds[shape.type_name]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            self._note(path, f"{value!r} where the model has {shape.type_name}")
        elif isinstance(value, str):
            self._scalar(shape, value, path)

    def _scalar(self, shape, text, path, default="iso8601"):
        kind = shape.type_name
        values = getattr(shape, "enum", None) or [text]
        if plain(text) not in map(plain, values) and (shape.name, text) not in BEYOND_THE_MODEL:
            self._note(path, f"`{text}` is none of {', '.join(sorted(values))}")
        if kind == "boolean" and text not in ("true", "false"):
            self._note(path, f"`{text}` is no boolean")
        elif kind in NUMBERS and not re.fullmatch(NUMBERS[kind], text):
            self._note(path, f"`{text}` is no {kind}")
        elif kind == "timestamp":
            self._timestamp(shape, text, path, default)
        elif kind == "blob":
            try:
                base64.b64decode(text, validate=True)
            except binascii.Error:
                self._note(path, "no base64")
        elif kind in ("structure", "list", "map"):
            self._note(path, f"text where the model has a {kind}")

    def _timestamp(self, shape, text, path, default):
        form = shape.serialization.get("timestampFormat", default)
        is_right = {
            "iso8601": lambda: ISO_8601.fullmatch(text),
            "rfc822": lambda: email.utils.parsedate(text),
            "unixTimestamp": lambda: re.fullmatch(NUMBERS["double"], text),
        }[form]
        if not is_right():
            self._note(path, f"`{text}` is no timestamp of the form {form}")


def plain(value):
    """A value without what AWS's answers and models spell differently.

    EC2 answers `available` where its model says `Available`, ACM `RSA-2048` for `RSA_2048`.
    """
    return value.lower().replace("-", "_")


def is_in_head(member):
    """Whether a member travels in the head of the response rather than in its body."""
    return member.serialization.get("location") in HTTP_LOCATIONS


def xml_name(member, name):
    """The element that a member is written as."""
    if member.type_name == "list" and member.serialization.get("flattened"):
        return member.member.serialization.get("name") or member.serialization.get("name", name)
    return member.serialization.get("name", name)


def local(node):
    """The name of an element without its namespace."""
    return node.tag.rpartition("}")[2]


def joined(path, name):
    """The place of a member."""
    return f"{path}.{name}" if path else name
