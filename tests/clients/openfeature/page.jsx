import { OFREPWebProvider } from '@openfeature/ofrep-web-provider';
import { OpenFeature, OpenFeatureProvider, useBooleanFlagValue, useFlag } from '@openfeature/react-sdk';
import { createRoot } from 'react-dom/client';

const provider = new OFREPWebProvider({
  baseUrl: process.env.FLAGS_URL, // https://flags.example.com/flags/shop/prod
  headers: [['Authorization', `Bearer ${process.env.FLAGS_KEY}`]],
  changeDetection: 'sse',
  pollInterval: 0,
});
OpenFeature.setProvider(provider, { targetingKey: 'user-1', email: 'ann@example.com' });

function Checkout() {
  const isNew = useBooleanFlagValue('new-checkout', false);
  const { value: greeting } = useFlag('greeting', 'Hello');
  return (
    <p id="checkout">
      {greeting}, this is the {isNew ? 'new' : 'old'} checkout.
    </p>
  );
}

createRoot(document.getElementById('root')).render(
  <OpenFeatureProvider>
    <Checkout />
  </OpenFeatureProvider>,
);
