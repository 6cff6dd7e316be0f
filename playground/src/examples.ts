/** The queries that a first visitor finds in the editor, one tab each, over the example shop. */
import type { GraphiQLProps } from 'graphiql';

const products = `# Welcome to Switchboard.
#
# One query, four services: products
# and inventory speak gRPC, reviews
# and users REST. Press Ctrl-Enter:
# the plan and each upstream call
# appear on the right.
#
# The other tabs hold more examples.

query Products {
  products(limit: 20) {
    name
    price
    stock: inventory {
      available
    }
    reviews {
      rating
      comment
      user {
        name
      }
    }
  }
}
`;

const customer = `# One customer's orders and reviews.
# Both lists are fetched at the same
# time; products are asked for in
# batches, never one by one.
# The id is set in Variables, below.

query Customer($id: ID!) {
  user(id: $id) {
    name
    email
    orders(first: 3) {
      status
      total
      payment {
        amount
        ... on CardPayment {
          brand
        }
      }
      items {
        quantity
        product {
          name
        }
      }
    }
    reviews(first: 3) {
      rating
      product {
        name
      }
    }
  }
}
`;

const orders = `# The newest orders. However many
# there are, their users take one
# call, and so do their products.

query NewestOrders {
  orders(first: 10) {
    totalCount
    nodes {
      id
      status
      createdAt
      user {
        name
      }
      items {
        quantity
        unitPrice
        product {
          name
          inventory {
            quantity
            warehouse
          }
        }
      }
    }
  }
}
`;

export const examples: NonNullable<GraphiQLProps['defaultTabs']> = [
  { query: products },
  { query: customer, variables: '{ "id": "1" }' },
  { query: orders },
];
