"""The official client of the Model Context Protocol, for mcp.rs. Reads {"url", "token", "steps": [[tool, arguments], …]} and
prints what it found: {"protocol", "tools", "answers"}."""

import asyncio
import json
import sys

from mcp import Client, MCPError
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client


async def main(asked):
    headers = {"authorization": f"Bearer {asked['token']}"} if asked.get("token") else {}
    async with create_mcp_http_client(headers=headers) as http:
        transport = streamable_http_client(asked["url"], http_client=http)
        async with Client(transport, mode=asked.get("mode", "auto")) as client:
            tools = (await client.list_tools()).tools
            answers = []
            for tool, arguments in asked["steps"]:
                try:
                    # Checks what is answered against the schema that the tool has told.
                    result = await client.call_tool(tool, arguments)
                    text = "".join(block.text for block in result.content)
                    answers.append({"error": result.is_error, "json": result.structured_content, "text": text})
                except MCPError as error:
                    answers.append({"refused": str(error)})
            tools = [[tool.name, tool.annotations.read_only_hint] for tool in tools]
            return {"protocol": client.protocol_version, "tools": tools, "answers": answers}


print(json.dumps(asyncio.run(main(json.load(sys.stdin)))))
