"""List prices of hosted APIs in dollars per million tokens: on demand, without discounts or free tiers.

Verified means: read on a page of the vendor. The others were read where the source says, and are to be checked before they decide.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hosted:
    """A hosted model: dollars per million input tokens, when and where the price was listed, and whether by the vendor itself."""

    name: str
    dollars: float
    date: str
    source: str
    verified: bool

    @property
    def how(self) -> str:
        """Return one phrase for a table."""
        return f"listed {self.date}, {self.source}{'' if self.verified else '; not verified with the vendor'}"


HOSTED = (
    Hosted("OpenAI text-embedding-3-small", 0.02, "2026-07", "developers.openai.com", verified=True),
    Hosted("OpenAI text-embedding-3-large", 0.13, "2026-07", "developers.openai.com", verified=True),
    Hosted("Amazon Bedrock, Titan Text Embeddings V2", 0.02, "2026", "LiteLLM's price list", verified=False),
    Hosted("Amazon Bedrock, Cohere Embed 4", 0.12, "2026", "getmaxim.ai", verified=False),
    Hosted("Cohere embed-v4.0", 0.12, "2026-06", "developer.puter.com", verified=False),
    Hosted("Voyage voyage-3.5", 0.06, "2026-05", "hivebook.wiki", verified=False),
    Hosted("Voyage voyage-3.5-lite", 0.02, "2026-05", "hivebook.wiki and vercel.com", verified=False),
)
