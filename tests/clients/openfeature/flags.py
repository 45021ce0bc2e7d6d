import os

from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider

provider = OFREPProvider(
    os.environ["FLAGS_URL"],  # https://strongroom.example.com/flags/shop/prod
    headers_factory=lambda: {"Authorization": f"Bearer {os.environ['FLAGS_TOKEN']}"},
)
api.set_provider(provider)

flags = api.get_client()
