"""Runs inside the image: uses what the server imports only on demand, and prints what failed, as JSON."""

# mypy: disable-error-code="import-not-found"

import importlib
import io
import json
import sys
import traceback
import warnings
import zipfile
from collections.abc import Callable

warnings.simplefilter("ignore")
outcome: dict[str, str] = {}


def check(name: str) -> Callable[[Callable[[], None]], None]:
    """Run the decorated function at once and note how it ended."""

    def run(function: Callable[[], None]) -> None:
        try:
            function()
        except Exception:
            outcome[name] = traceback.format_exc()[-1500:]
        else:
            outcome[name] = ""

    return run


@check("modules named in functions of the server")
def _modules() -> None:
    for name in (
        "clickhouse_connect",
        "ddtrace",
        "ddtrace.llmobs",
        "exa_py",
        "llama_index.core",
        "llama_index.core.node_parser",
        "nltk",
        "readability",
        "sentry_sdk",
        "trafilatura",
    ):
        importlib.import_module(name)


@check("counting tokens")
def _tokens() -> None:
    import tiktoken

    for name in ("cl100k_base", "o200k_base"):
        assert tiktoken.get_encoding(name).encode("two words")


@check("splitting files")
def _chunks() -> None:
    from letta.services.file_processor.chunker.llama_index_chunker import LlamaIndexChunker
    from letta.services.file_processor.file_types import ChunkingStrategy

    assert ChunkingStrategy.DOCUMENTATION
    chunker = LlamaIndexChunker(chunk_size=64)
    text = "A sentence here. " * 200
    assert len(chunker.default_chunk_text(text)) > 1

    from llama_index.core import Document
    from llama_index.core.node_parser import HTMLNodeParser, JSONNodeParser, MarkdownNodeParser, SentenceSplitter

    assert SentenceSplitter(chunk_size=64, chunk_overlap=8).get_nodes_from_documents([Document(text=text)])
    assert MarkdownNodeParser().get_nodes_from_documents([Document(text="# Title\n\ntext\n")])
    assert HTMLNodeParser().get_nodes_from_documents([Document(text="<p>text</p>")])
    assert JSONNodeParser().get_nodes_from_documents([Document(text='{"a": 1}')])


@check("reading documents")
def _documents() -> None:
    from markitdown import MarkItDown, StreamInfo
    from pptx import Presentation

    reader = MarkItDown()

    def read(content: bytes, extension: str) -> str:
        stream = io.BytesIO(content)
        return str(reader.convert_stream(stream, stream_info=StreamInfo(extension=extension)).text_content)

    assert "word" in read(b"<html><body><h1>word</h1></body></html>", ".html")
    assert "word" in read(b"a,b\nword,2\n", ".csv")

    slides = Presentation()
    slides.slides.add_slide(slides.slide_layouts[0]).shapes.title.text = "word"
    saved = io.BytesIO()
    slides.save(saved)
    assert "word" in read(saved.getvalue(), ".pptx")

    word = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    types = "http://schemas.openxmlformats.org/package/2006/content-types"
    relations = "http://schemas.openxmlformats.org/package/2006/relationships"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
    main = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    saved = io.BytesIO()
    with zipfile.ZipFile(saved, "w") as archive:
        archive.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{types}"><Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Override PartName="/word/document.xml" ContentType="{main}"/></Types>',
        )
        archive.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{relations}">'
            f'<Relationship Id="r1" Type="{office}" Target="word/document.xml"/></Relationships>',
        )
        archive.writestr(
            "word/document.xml",
            f'<w:document xmlns:w="{word}"><w:body><w:p><w:r><w:t>word</w:t></w:r></w:p></w:body></w:document>',
        )
    assert "word" in read(saved.getvalue(), ".docx")

    content = b"BT /F1 24 Tf 72 700 Td (word) Tj ET"
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(content), content),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    body = b"%PDF-1.4\n"
    places = []
    for number, item in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, item)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    body += b"xref\n0 6\n0000000000 65535 f \n" + table + b"trailer<</Size 6/Root 1 0 R>>\nstartxref\n"
    body += b"%d\n%%%%EOF\n" % body.index(b"xref\n0 6")
    assert "word" in read(body, ".pdf")


@check("reading web pages")
def _pages() -> None:
    from readability import Document
    from trafilatura import extract

    paragraphs = "".join(f"<p>Paragraph {number} has a few words to say.</p>" for number in range(20))
    page = f"<html><head><title>t</title></head><body><article>{paragraphs}</article></body></html>"
    assert "Paragraph 7" in str(extract(page, output_format="markdown"))
    assert "Paragraph 7" in Document(page).summary()


@check("building arguments of tools from a schema")
def _schemas() -> None:
    from letta.functions.schema_generator import generate_schema

    def tool(name: str, count: int = 1) -> str:
        """Say something.

        Args:
            name (str): who
            count (int): how often
        """
        return name * count

    assert generate_schema(tool)["parameters"]["required"] == ["name"]


sys.stdout.write("\n" + json.dumps(outcome) + "\n")
