import { OFREPProvider } from '@openfeature/ofrep-provider';
import { OpenFeature } from '@openfeature/server-sdk';

const provider = new OFREPProvider({
  baseUrl: process.env.FLAGS_URL, // https://strongroom.example.com/flags/shop/prod
  headersFactory: () => [['Authorization', `Bearer ${process.env.FLAGS_TOKEN}`]],
});
await OpenFeature.setProviderAndWait(provider);

export const flags = OpenFeature.getClient();
