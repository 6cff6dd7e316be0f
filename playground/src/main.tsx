/** Mounts the page. */
import 'graphiql/style.css';
import './inspector.css';
import { createRoot } from 'react-dom/client';
import { Playground } from './Playground';

const root = document.getElementById('root');
if (root) createRoot(root).render(<Playground />);
